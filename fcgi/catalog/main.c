/* main: the catalog worker's process; see fcgi/common/worker.h. */
#include "fcgi/catalog/catalog.h"

int main(void)
{
	return worker_run(&catalog_app);
}

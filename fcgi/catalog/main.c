/* main: the catalog worker's process; see fcgi/common/worker.h. */
#include "fcgi/catalog/catalog.h"

int main(int argc, char **argv)
{
	return worker_run(&catalog_app, argc, argv);
}

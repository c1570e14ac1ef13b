/* main: the order worker's process; see fcgi/common/worker.h. */
#include "fcgi/order/order.h"

int main(int argc, char **argv)
{
	return worker_run(&order_app, argc, argv);
}

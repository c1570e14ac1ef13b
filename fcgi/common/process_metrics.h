/* process_metrics: what the kernel knows of this process, under the names that Prometheus' own clients use. */
#ifndef PYGMY_FCGI_PROCESS_METRICS_H
#define PYGMY_FCGI_PROCESS_METRICS_H

#include "fcgi/common/writer.h"

/* Reads /proc, some tens of microseconds; any thread. What can't be read is left out. */
void process_metrics_write(struct writer *out);

#endif

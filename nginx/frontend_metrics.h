/*
 * frontend_metrics: a frontend's counters and its table's state in the Prometheus text format (version 0.0.4).
 *
 * Label sets are bounded: four operations, the status codes of frontend_codes or "other", four ways of the cache, the nodes of the
 * cluster. Only operations that were asked for appear.
 */
#ifndef PYGMY_NGINX_FRONTEND_METRICS_H
#define PYGMY_NGINX_FRONTEND_METRICS_H

#include "nginx/coherence_table.h"
#include "nginx/frontend_counters.h"
#include "nginx/rotation.h"

#define FRONTEND_METRICS_MAX_BYTES 65536

/* nginx's own gauges; -1: not known. */
struct frontend_connections {
	int64_t active, reading, writing, waiting;
	int64_t accepted, handled;
};

/* Writes the text (rotation: NULL where there is none); returns its length, at most FRONTEND_METRICS_MAX_BYTES - 1. 0: it did not fit. Does not block. */
size_t frontend_metrics_write(const struct frontend_counters *counters, const struct coherence_table *table, int64_t now_ms, int64_t lease_ms,
	const struct rotation *rotation, const struct frontend_connections *connections, char text[FRONTEND_METRICS_MAX_BYTES]);

#endif

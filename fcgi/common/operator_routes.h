/*
 * operator_routes: what every worker answers to operators: /livez, /readyz, /status, /metrics.
 *
 * livez: the process runs and has a free thread. readyz: it can do its work; 503 with the reason when not, and with ?max_age_ms=N
 * also when the replica was last complete longer ago (a frontend asks so), with ?verbose the
 * list of checks. status: JSON for people. metrics: Prometheus.
 */
#ifndef PYGMY_FCGI_OPERATOR_ROUTES_H
#define PYGMY_FCGI_OPERATOR_ROUTES_H

#include "fcgi/common/route.h"

extern const struct route operator_routes[];
extern const size_t operator_route_count;

#endif

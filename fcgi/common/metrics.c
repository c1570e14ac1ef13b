/* metrics: see metrics.h. */
#include "fcgi/common/metrics.h"

#include <stdio.h>

static const int CODES[] = { 200, 201, 304, 400, 401, 404, 405, 409, 412, 413, 414, 415, 422, 429, 500, 503 };
#define CODE_COUNT (sizeof CODES / sizeof CODES[0])

_Static_assert(CODE_COUNT < METRICS_CODES_MAX, "one more counts the other codes");

void metrics_init(struct metrics *metrics)
{
	memset(metrics, 0, sizeof *metrics);
	for (size_t i = 0; i <= ROUTES_MAX; i++)
		histogram_init(&metrics->routes[i].seconds, HISTOGRAM_SECONDS, HISTOGRAM_SECONDS_COUNT);
	histogram_init(&metrics->wait_seconds, HISTOGRAM_SECONDS, HISTOGRAM_SECONDS_COUNT);
}

static size_t code_index(int status)
{
	size_t i = 0;
	while (i < CODE_COUNT && CODES[i] != status)
		i++;
	return i;
}

void metrics_count(struct metrics *metrics, int route_index, int status, int64_t duration_us)
{
	struct route_metrics *route = &metrics->routes[route_index < 0 ? ROUTES_MAX : route_index];
	atomic_fetch_add_explicit(&route->answers[code_index(status)], 1, memory_order_relaxed);
	histogram_observe(&route->seconds, (double)duration_us / 1e6);
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_totals(const struct metrics *metrics, uint64_t *answers, uint64_t *failures)
{
	*answers = 0;
	*failures = 0;
	for (size_t route = 0; route <= ROUTES_MAX; route++)
		for (size_t code = 0; code <= CODE_COUNT; code++) {
			uint64_t count = load(&metrics->routes[route].answers[code]);
			*answers += count;
			if (code == CODE_COUNT || CODES[code] >= 500)
				*failures += count;
		}
}

static const char *method_text(enum method method)
{
	switch (method) {
	case METHOD_GET: return "GET";
	case METHOD_POST: return "POST";
	case METHOD_PUT: return "PUT";
	case METHOD_DELETE: return "DELETE";
	case METHOD_HEAD:
	case METHOD_OTHER: break;
	}
	return "other";
}

static void write_labels(const struct route *const *routes, size_t route_count, size_t index, char *labels, size_t size)
{
	if (index < route_count)
		snprintf(labels, size, "route=\"%s\",method=\"%s\"", routes[index]->pattern, method_text(routes[index]->method));
	else
		snprintf(labels, size, "route=\"unmatched\",method=\"any\"");
}

static void write_answers(const struct route_metrics *route, const char *labels, struct writer *out)
{
	for (size_t code = 0; code <= CODE_COUNT; code++) {
		uint64_t count = load(&route->answers[code]);
		if (count == 0)
			continue;
		writer_printf(out, "pygmy_http_requests_total{%s,code=\"", labels);
		if (code < CODE_COUNT)
			writer_put_int(out, CODES[code]);
		else
			writer_put_literal(out, "other");
		writer_put_literal(out, "\"} ");
		writer_put_uint(out, count);
		writer_put_literal(out, "\n");
	}
}

void metrics_write_http(const struct metrics *metrics, const struct route *const *routes, size_t route_count, struct writer *out)
{
	char labels[160];
	writer_put_literal(out, "# HELP pygmy_http_requests_total Requests answered, by row of the route table.\n"
		"# TYPE pygmy_http_requests_total counter\n");
	for (size_t i = 0; i <= ROUTES_MAX; i++) {
		write_labels(routes, route_count, i, labels, sizeof labels);
		write_answers(&metrics->routes[i], labels, out);
	}
	writer_put_literal(out, "# HELP pygmy_http_request_duration_seconds From the request's parameters to the answer's last byte.\n"
		"# TYPE pygmy_http_request_duration_seconds histogram\n");
	for (size_t i = 0; i <= ROUTES_MAX; i++) {
		if (load(&metrics->routes[i].seconds.count) == 0)
			continue;
		write_labels(routes, route_count, i, labels, sizeof labels);
		metrics_write_histogram(&metrics->routes[i].seconds, "pygmy_http_request_duration_seconds", labels, out);
	}
	writer_put_literal(out, "# HELP pygmy_rejected_total Requests refused early, because others had waited for so long already.\n"
		"# TYPE pygmy_rejected_total counter\npygmy_rejected_total{reason=\"overloaded\"} ");
	writer_put_uint(out, load(&metrics->overloaded));
	writer_put_literal(out, "\n# HELP pygmy_queue_wait_seconds How long requests waited for a thread, since nginx had them.\n"
		"# TYPE pygmy_queue_wait_seconds histogram\n");
	metrics_write_histogram(&metrics->wait_seconds, "pygmy_queue_wait_seconds", "", out);
	metrics_write_value(out, "pygmy_threads_busy", "gauge", "Threads that work on a request.",
		atomic_load_explicit(&metrics->busy, memory_order_relaxed));
	metrics_write_value(out, "pygmy_fastcgi_connections", "gauge", "Open connections from nginx.",
		atomic_load_explicit(&metrics->connections, memory_order_relaxed));
}

void metrics_write_histogram(const struct histogram *histogram, const char *name, const char *labels, struct writer *out)
{
	const char *comma = labels[0] != '\0' ? "," : "";
	uint64_t count = 0;
	for (int i = 0; i <= histogram->bound_count; i++) {
		count += load(&histogram->buckets[i]);
		if (i < histogram->bound_count)
			writer_printf(out, "%s_bucket{%s%sle=\"%g\"} ", name, labels, comma, histogram->bounds[i]);
		else
			writer_printf(out, "%s_bucket{%s%sle=\"+Inf\"} ", name, labels, comma);
		writer_put_uint(out, count);
		writer_put_literal(out, "\n");
	}
	const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
	writer_printf(out, "%s_sum%s%s%s %.6f\n", name, open, labels, close, (double)load(&histogram->sum_micro) / 1e6);
	/* The sum of the buckets, not the counter beside them: the two must agree in one text. */
	writer_printf(out, "%s_count%s%s%s ", name, open, labels, close);
	writer_put_uint(out, count);
	writer_put_literal(out, "\n");
}

void metrics_write_value(struct writer *out, const char *name, const char *type, const char *help, double value)
{
	writer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

/*
 * pygmy_module: what the parts of nginx's module share: ngx_http_pygmy_module.c the cache, figures.c what is counted, trace.c by which id
 * a request is followed, closing.c how connections end before nginx stops, balancer.c, names.c and sessions.c which node is asked, guard.c how
 * many connections clients may have, client.c who is one client. They are one nginx module, in one shared object.
 */
#ifndef PYGMY_NGINX_PYGMY_MODULE_H
#define PYGMY_NGINX_PYGMY_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <stdbool.h>

#include "nginx/frontend_metrics.h"
#include "nginx/rotation.h"

/* Whose port a server's is: guard.c. */
enum pygmy_guarded { PYGMY_GUARDED_NOT, PYGMY_GUARDED_PUBLIC, PYGMY_GUARDED_DIRECT, PYGMY_GUARDED_KINDS };

typedef struct {
	ngx_uint_t route;             /* enum cache_route, or NGX_CONF_UNSET_UINT */
	ngx_flag_t counted;
	ngx_uint_t guarded;           /* enum pygmy_guarded */
} pygmy_location;

typedef struct {
	ngx_uint_t kind;              /* enum rotation_kind */
	ngx_uint_t policy;
	bool unblamed;
} pygmy_upstream;

typedef struct {
	ngx_int_t connections_max[PYGMY_GUARDED_KINDS];       /* at each nginx worker; 0: not guarded */
	ngx_int_t client_max;         /* of one client; 0: no limit */
	ngx_array_t *known;           /* of ngx_cidr_t: not counted as one client; or NULL */
} pygmy_main;

/* By this status a worker tells a frontend that it is overloaded: none that nginx would ask the next worker after. Clients see 503. */
#define PYGMY_OVERLOADED_STATUS 529

extern ngx_module_t ngx_http_pygmy_module;

/* ---- the cache -------------------------------------------------------------------------------- */

/* The first header of that name (in any case), or NULL. count, unless NULL, is raised by how many there are. */
ngx_table_elt_t *pygmy_find_header(ngx_list_t *list, const char *name, size_t len, ngx_uint_t *count);

/* Copies text into the request's pool as a variable's value. */
ngx_int_t pygmy_set_value(ngx_http_request_t *r, ngx_http_variable_value_t *value, const char *text, size_t len);

/* Whether the answer comes from this worker's memory. */
bool pygmy_is_served_from_memory(ngx_http_request_t *r);

/* The table that Lua attached, or NULL; and how long its leases last. */
const struct coherence_table *pygmy_attached_table(int64_t *lease_ms);

/* ---- figures ---------------------------------------------------------------------------------- */

ngx_int_t pygmy_figures_add_variables(ngx_conf_t *cf);
ngx_int_t pygmy_figures_install(ngx_conf_t *cf);
void pygmy_figures_start_worker(void);

/*
 * coherence_clock_ms() at the beginning of the request: a lease that was held then is enough to answer it, since what was acknowledged
 * before it began is in the table, which is looked at later.
 */
int64_t pygmy_figures_clock_ms(ngx_http_request_t *r);

/* The head of an upstream's answer is here. */
void pygmy_figures_upstream_answered(ngx_http_request_t *r);

/* Something was refused that is no request yet. */
void pygmy_figures_rejected(enum frontend_rejection reason);

/* Called by Lua in the master, at start and at each reload; counters stay Lua's. */
void pygmy_module_count(struct frontend_counters *counters);

/* Called by Lua: the page for /metrics; see frontend_metrics.h. 0 before anything was attached. */
size_t pygmy_module_metrics(char text[FRONTEND_METRICS_MAX_BYTES]);

/* ---- stopping --------------------------------------------------------------------------------- */

/* Before the head of an answer is written: it is the connection's last one if nginx is about to stop (closing.c). */
void pygmy_closing_answer(ngx_http_request_t *r);

/* ---- the nodes -------------------------------------------------------------------------------- */

void *pygmy_balancer_create_upstream(ngx_conf_t *cf);
char *pygmy_balancer_nodes(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/* The rotation that Lua attached; NULL: this nginx is no frontend of a cluster. */
struct rotation *pygmy_attached_rotation(void);

/* TLS sessions with a node's worker, kept for the next connection to it (sessions.c). */
ngx_int_t pygmy_sessions_set(ngx_connection_t *connection, const struct rotation_node *node, enum rotation_kind kind);
void pygmy_sessions_keep(ngx_connection_t *connection, const struct rotation_node *node, enum rotation_kind kind);

/* ---- clients ---------------------------------------------------------------------------------- */

/* Takes the listening sockets of servers with pygmy_guarded on; in the master, behind each reading of the configuration. */
void pygmy_guard_install(ngx_cycle_t *cycle);
void pygmy_guard_start_worker(ngx_cycle_t *cycle);

char *pygmy_guard_set_connections(ngx_conf_t *cf, ngx_command_t *command, void *at);
char *pygmy_guard_add_known(ngx_conf_t *cf, ngx_command_t *command, void *at);

/* $pygmy_client_key: $pygmy_client as 8 bytes (client_key.h); empty when that is no address. */
ngx_int_t pygmy_client_add_variables(ngx_conf_t *cf);

/* ---- trace ids -------------------------------------------------------------------------------- */

ngx_int_t pygmy_trace_add_variables(ngx_conf_t *cf);

#endif

/*
 * guard: how many connections clients may have open, so that there always are some left for pushes, leases and operators.
 *
 *     pygmy_connections 2880 960 256;  in http: at each nginx worker, on public ports, on direct ones, and of one client (0: no limit)
 *     pygmy_known_clients 10.0.0.0/8;  in http: who is not counted as one client
 *     pygmy_guarded public;            in a server: its port is for clients; or direct: a worker's own port, for operators, too
 *
 * nginx's own limit_conn counts connections with a request under way, and neither the idle ones nor those that send their request by the
 * byte. So this stands before nginx's first look at a connection, in the place of its handler of the listening socket. When all
 * places are taken, the connection that has been idle longest gives up its own (as nginx does by itself when it has none left at all, but
 * then for everybody's, the nodes' too); when none is idle, the new one is refused. Who is refused is told so, as far as one can
 * be told who has not asked yet.
 *
 * A request may need a connection to a worker besides its own: nginx/render.sh makes worker_connections twice as large, and then some.
 */
#include "nginx/module/pygmy_module.h"

#include "nginx/client_key.h"
#include "nginx/client_table.h"

#define EVICT_LOOK_MAX 64             /* idle connections that are looked at for one of a client's */
#define REFUSAL_READ_BYTES 4096       /* of a request that is here already: unread, it would reset the connection and the answer */
#define REFUSAL_READS_MAX 8

/* What a connection's pool remembers. */
struct guarded {
	uint64_t key;
	enum pygmy_guarded kind;
	bool is_counted;              /* as one of its client's */
};

static struct client_table *clients;  /* this worker's; NULL: there was no memory for it, and nobody is counted as one client */
static ngx_int_t open_connections[PYGMY_GUARDED_KINDS];

static const pygmy_main *main_conf(void)
{
	return ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_pygmy_module);
}

/* ---- refusing --------------------------------------------------------------------------------- */

static void say(ngx_connection_t *c, const char *status, const char *code, const char *text, int number)
{
	u_char body[256], answer[512], scratch[REFUSAL_READ_BYTES];
	u_char *body_end = ngx_snprintf(body, sizeof body, "{\"code\":\"%s\",\"message\":\"%s\",\"status\":\"Failed\",\"validation_code\":%d}\n",
		code, text, number);
	u_char *end = ngx_snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
		"Connection: close\r\nContent-Length: %uz\r\n\r\n%*s", status, (size_t)(body_end - body), (size_t)(body_end - body), body);
	for (int reads = 0; reads < REFUSAL_READS_MAX; reads++)
		if (recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT) != (ssize_t)sizeof scratch)
			break;
	/* What does not fit into the empty buffer of a new socket is lost: there is nobody to wait for. */
	if (send(c->fd, answer, (size_t)(end - answer), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(c->fd, SHUT_WR);
}

static void refuse(ngx_connection_t *c, enum frontend_rejection reason)
{
	static time_t complained;
	pygmy_figures_rejected(reason);
	if (complained != ngx_time()) {
		complained = ngx_time();
		ngx_log_error(NGX_LOG_WARN, c->log, 0, "a connection is refused: %s (others of this second are not logged)",
			reason == FRONTEND_REJECTED_CLIENT ? "its client has as many as one may have" : "clients have all they may have");
	}
	if (reason == FRONTEND_REJECTED_CLIENT)
		say(c, "429 Too Many Requests", "too_many_connections", "There are too many open connections from this address.", 429);
	else
		say(c, "503 Service Unavailable", "overloaded", "All connections are in use: nothing was changed.", 503);
	ngx_http_close_connection(c);
}

/* ---- taking ----------------------------------------------------------------------------------- */

static void take_public(ngx_connection_t *c);
static void take_direct(ngx_connection_t *c);
static const ngx_connection_handler_pt HANDLERS[PYGMY_GUARDED_KINDS] = { ngx_http_init_connection, take_public, take_direct };

static void forget(void *data)
{
	struct guarded *guarded = data;
	open_connections[guarded->kind]--;
	if (guarded->is_counted)
		client_table_remove(clients, guarded->key);
}

/* Closes the connection of that kind that has been idle longest. False when none is idle. */
static bool evict_idle(enum pygmy_guarded kind)
{
	ngx_queue_t *queue = &((ngx_cycle_t *)ngx_cycle)->reusable_connections_queue;
	ngx_queue_t *at = ngx_queue_last(queue);
	for (int looked = 0; at != ngx_queue_sentinel(queue) && looked < EVICT_LOOK_MAX; looked++, at = ngx_queue_prev(at)) {
		ngx_connection_t *c = ngx_queue_data(at, ngx_connection_t, queue);
		if (c->listening == NULL || c->listening->handler != HANDLERS[kind])
			continue;
		c->close = 1;
		c->read->handler(c->read);
		pygmy_figures_rejected(FRONTEND_EVICTED);
		return true;
	}
	return false;
}

static bool is_known(const pygmy_main *conf, const ngx_connection_t *c)
{
	return conf->known != NULL && ngx_cidr_match(c->sockaddr, conf->known) == NGX_OK;
}

static void take_connection(ngx_connection_t *c, enum pygmy_guarded kind)
{
	const pygmy_main *conf = main_conf();
	uint64_t key = 0;
	bool is_counted = clients != NULL && conf->client_max > 0 && !is_known(conf, c) && client_key_of(c->sockaddr, &key);
	if (is_counted && client_table_count(clients, key) >= (uint32_t)conf->client_max) {
		refuse(c, FRONTEND_REJECTED_CLIENT);
		return;
	}
	if (open_connections[kind] >= conf->connections_max[kind] && !evict_idle(kind)) {
		refuse(c, FRONTEND_REJECTED_FULL);
		return;
	}
	ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, sizeof(struct guarded));
	if (cleanup == NULL) {
		ngx_http_close_connection(c);
		return;
	}
	cleanup->handler = forget;
	*(struct guarded *)cleanup->data = (struct guarded){ key, kind, is_counted };
	open_connections[kind]++;
	if (is_counted)
		client_table_add(clients, key);
	ngx_http_init_connection(c);
}

static void take_public(ngx_connection_t *c)
{
	take_connection(c, PYGMY_GUARDED_PUBLIC);
}

static void take_direct(ngx_connection_t *c)
{
	take_connection(c, PYGMY_GUARDED_DIRECT);
}

/* ---- nginx ------------------------------------------------------------------------------------ */

static enum pygmy_guarded kind_of(const ngx_listening_t *listening)
{
	const ngx_http_port_t *port = listening->servers;
	const ngx_http_core_srv_conf_t *server;
	if (listening->handler != ngx_http_init_connection || port == NULL || port->naddrs == 0)
		return PYGMY_GUARDED_NOT;
	if (listening->sockaddr->sa_family == AF_INET)
		server = ((const ngx_http_in_addr_t *)port->addrs)[0].conf.default_server;
	else if (listening->sockaddr->sa_family == AF_INET6)
		server = ((const ngx_http_in6_addr_t *)port->addrs)[0].conf.default_server;
	else
		return PYGMY_GUARDED_NOT;
	const pygmy_location *conf = server->ctx->loc_conf[ngx_http_pygmy_module.ctx_index];
	return (enum pygmy_guarded)conf->guarded;
}

void pygmy_guard_install(ngx_cycle_t *cycle)
{
	ngx_listening_t *listening = cycle->listening.elts;
	const pygmy_main *conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_pygmy_module);
	for (ngx_uint_t i = 0; conf != NULL && conf->connections_max[PYGMY_GUARDED_PUBLIC] > 0 && i < cycle->listening.nelts; i++)
		if (kind_of(&listening[i]) != PYGMY_GUARDED_NOT)
			listening[i].handler = HANDLERS[kind_of(&listening[i])];
}

void pygmy_guard_start_worker(ngx_cycle_t *cycle)
{
	const pygmy_main *conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_pygmy_module);
	if (conf == NULL || conf->client_max <= 0)
		return;
	clients = client_table_create((uint32_t)(conf->connections_max[PYGMY_GUARDED_PUBLIC] + conf->connections_max[PYGMY_GUARDED_DIRECT]));
	if (clients == NULL)
		ngx_log_error(NGX_LOG_WARN, cycle->log, 0, "no memory to count connections of clients in");
}

/* ---- configuration ---------------------------------------------------------------------------- */

char *pygmy_guard_set_connections(ngx_conf_t *cf, ngx_command_t *command, void *at)
{
	pygmy_main *conf = at;
	const ngx_str_t *words = cf->args->elts;
	(void)command;
	conf->connections_max[PYGMY_GUARDED_PUBLIC] = ngx_atoi(words[1].data, words[1].len);
	conf->connections_max[PYGMY_GUARDED_DIRECT] = ngx_atoi(words[2].data, words[2].len);
	conf->client_max = ngx_atoi(words[3].data, words[3].len);
	return conf->connections_max[PYGMY_GUARDED_PUBLIC] <= 0 || conf->connections_max[PYGMY_GUARDED_DIRECT] <= 0 || conf->client_max < 0
		? "takes two numbers above 0, and a number" : NGX_CONF_OK;
}

char *pygmy_guard_add_known(ngx_conf_t *cf, ngx_command_t *command, void *at)
{
	pygmy_main *conf = at;
	ngx_str_t *words = cf->args->elts;
	(void)command;
	if (conf->known == NULL)
		conf->known = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
	for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
		ngx_cidr_t *cidr = conf->known != NULL ? ngx_array_push(conf->known) : NULL;
		if (cidr == NULL)
			return NGX_CONF_ERROR;
		if (ngx_ptocidr(&words[i], cidr) == NGX_ERROR)
			return "takes addresses and networks like 192.0.2.0/24";
	}
	return NGX_CONF_OK;
}

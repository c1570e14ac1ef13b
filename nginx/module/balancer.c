/*
 * balancer: which node nginx asks, in upstreams of a frontend. The rules are in rotation.h; this is nginx's side of them.
 *
 *     upstream NAME {
 *         pygmy_nodes catalog|order turns|first|ready|named [unblamed];
 *         server HOST:PORT;        the seeds
 *         keepalive 64;            behind pygmy_nodes
 *     }
 *
 * turns, first: as rotation.h says. ready: as turns, but no node that has been out of the rotation for a while (rotation_is_doubtful): when only such are
 * left, nginx answers 502 at once (its error page asks for a stale answer then). named: the one that the request names in X-Pygmy-Node, as slot-id: for probes.
 * A try that failed takes its node out of the rotation; unblamed: it does not (what the client asked for may be why it failed).
 *
 * The address that nginx finds for a seed's host name when it reads its configuration is known; from then on names.c looks names up.
 */
#include "nginx/module/pygmy_module.h"

enum { POLICY_READY = ROTATION_FIRST + 1, POLICY_NAMED };

typedef struct {
	struct rotation_node node;    /* of the current try */
	ngx_http_request_t *request;
	pygmy_upstream *upstream;
	uint32_t tried;               /* bits of slots */
	uint32_t turn;
} pygmy_peer;

static struct rotation *attached_rotation;
static struct rotation_list list;     /* this worker's copy */
static uint32_t turns;
static struct rotation_seed seeds[ROTATION_NODES_MAX];
static uint32_t seed_counts[ROTATION_KINDS];

/* Called by Lua in the master, at start and at each reload; the rotation stays Lua's. False: it has no nodes. */
bool pygmy_module_rotate(struct rotation *rotation);

bool pygmy_module_rotate(struct rotation *rotation)
{
	uint32_t count = seed_counts[ROTATION_CATALOG] > seed_counts[ROTATION_ORDER] ? seed_counts[ROTATION_CATALOG] : seed_counts[ROTATION_ORDER];
	attached_rotation = rotation;
	return rotation_set_seeds(rotation, seeds, count);
}

struct rotation *pygmy_attached_rotation(void)
{
	return attached_rotation;
}

/* ---- a request -------------------------------------------------------------------------------- */

static const struct rotation_node *find_named(ngx_http_request_t *r)
{
	ngx_table_elt_t *header = pygmy_find_header(&r->headers_in.headers, "X-Pygmy-Node", sizeof "X-Pygmy-Node" - 1, NULL);
	unsigned slot, id;
	char text[24] = "";
	if (header == NULL || header->value.len >= sizeof text)
		return NULL;
	ngx_memcpy(text, header->value.data, header->value.len);
	if (sscanf(text, "%u-%u", &slot, &id) != 2)
		return NULL;
	for (uint32_t i = 0; i < list.count; i++)
		if (list.nodes[i].slot == slot && list.nodes[i].id == id)
			return &list.nodes[i];
	return NULL;
}

/* None is in: one that was a moment ago may well be able to answer as it is asked, so that nobody is shown an old answer in vain. */
static const struct rotation_node *find_doubtful(const pygmy_peer *peer)
{
	int64_t now_ms = coherence_clock_ms();
	for (uint32_t i = 0; i < list.count; i++) {
		const struct rotation_node *node = &list.nodes[(i + peer->turn) % list.count];
		if ((peer->tried & UINT32_C(1) << node->slot) == 0 &&
				rotation_is_doubtful(attached_rotation, node, (enum rotation_kind)peer->upstream->kind, now_ms))
			return node;
	}
	return NULL;
}

static const struct rotation_node *choose(pygmy_peer *peer)
{
	pygmy_upstream *upstream = peer->upstream;
	enum rotation_kind kind = (enum rotation_kind)upstream->kind;
	enum rotation_policy policy = upstream->policy == ROTATION_FIRST ? ROTATION_FIRST : ROTATION_TURNS;
	if (upstream->policy == POLICY_NAMED)
		return find_named(peer->request);
	int index = rotation_choose(attached_rotation, &list, kind, policy, peer->tried, peer->turn);
	if (index < 0 && peer->tried != 0 && (upstream->policy != POLICY_READY || list.count == 1)) {
		peer->tried = 0;
		index = rotation_choose(attached_rotation, &list, kind, policy, 0, peer->turn);
	}
	if (index < 0)
		return NULL;
	const struct rotation_node *node = &list.nodes[index];
	if (upstream->policy == POLICY_READY && rotation_state(attached_rotation, node, kind) != ROTATION_IN)
		return find_doubtful(peer);
	return node;
}

static ngx_int_t get_peer(ngx_peer_connection_t *pc, void *data)
{
	pygmy_peer *peer = data;
	rotation_look(attached_rotation, &list);
	const struct rotation_node *node = choose(peer);
	if (node == NULL || node->workers[peer->upstream->kind].address_len == 0)
		return NGX_BUSY;
	/* A copy: the list may change while this connection is used. */
	peer->node = *node;
	peer->tried |= UINT32_C(1) << node->slot;
	struct rotation_worker *worker = &peer->node.workers[peer->upstream->kind];
	/* nginx's log looks at the names of all tries in the end. */
	size_t len = ngx_strlen(worker->place);
	ngx_str_t *name = ngx_palloc(peer->request->pool, sizeof *name + len);
	if (name == NULL)
		return NGX_ERROR;
	name->len = len;
	name->data = (u_char *)(name + 1);
	ngx_memcpy(name->data, worker->place, name->len);
	pc->sockaddr = &worker->address.any;
	pc->socklen = worker->address_len;
	pc->name = name;
	pc->cached = 0;
	pc->connection = NULL;
	return NGX_OK;
}

/* The node has answered, or a kept connection broke: it may well be in order, and a probe will tell. */
static bool is_to_blame(ngx_peer_connection_t *pc, bool answered)
{
	bool timed_out = pc->connection != NULL && (pc->connection->read->timedout || pc->connection->write->timedout);
	return !pc->cached || answered || timed_out;
}

static void free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
	pygmy_peer *peer = data;
	ngx_uint_t status = peer->request->upstream->headers_in.status_n;
	if (pc->tries > 0)
		pc->tries--;
	if ((state & NGX_PEER_FAILED) == 0 || peer->upstream->unblamed || !is_to_blame(pc, status != 0))
		return;
	enum rotation_state verdict = status != 0 ? ROTATION_UNREADY : ROTATION_SILENT;
	if (rotation_judge(attached_rotation, peer->node.slot, peer->node.id, (enum rotation_kind)peer->upstream->kind, verdict, coherence_clock_ms()))
		ngx_log_error(NGX_LOG_WARN, pc->log, 0, "rotation: node %s (%V) leaves: %s", peer->node.name, pc->name,
			status != 0 ? "it refused a request" : "it did not answer a request");
}

static ngx_int_t set_session(ngx_peer_connection_t *pc, void *data)
{
	pygmy_peer *peer = data;
	return pygmy_sessions_set(pc->connection, &peer->node, (enum rotation_kind)peer->upstream->kind);
}

static void save_session(ngx_peer_connection_t *pc, void *data)
{
	pygmy_peer *peer = data;
	pygmy_sessions_keep(pc->connection, &peer->node, (enum rotation_kind)peer->upstream->kind);
}

static ngx_int_t init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
	pygmy_peer *peer = ngx_pcalloc(r->pool, sizeof *peer);
	pygmy_upstream *upstream = ngx_http_conf_upstream_srv_conf(us, ngx_http_pygmy_module);
	if (peer == NULL || attached_rotation == NULL)
		return NGX_ERROR;
	rotation_look(attached_rotation, &list);
	peer->request = r;
	peer->upstream = upstream;
	peer->turn = turns++;
	r->upstream->peer.data = peer;
	r->upstream->peer.get = get_peer;
	r->upstream->peer.free = free_peer;
	r->upstream->peer.set_session = set_session;
	r->upstream->peer.save_session = save_session;
	/* The only node is asked twice: it may have been restarted just now. */
	r->upstream->peer.tries = list.count > 1 ? list.count : 2;
	if (upstream->policy == POLICY_NAMED)
		r->upstream->peer.tries = 1;
	return NGX_OK;
}

/* ---- configuration ---------------------------------------------------------------------------- */

static ngx_int_t take_seed(ngx_conf_t *cf, const ngx_http_upstream_server_t *server, struct rotation_worker *worker)
{
	if (server->naddrs == 0 || server->name.len > ROTATION_PLACE_MAX_BYTES || server->addrs[0].socklen > sizeof worker->address) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" can't be a node", &server->name);
		return NGX_ERROR;
	}
	ngx_memzero(worker, sizeof *worker);
	ngx_memcpy(worker->place, server->name.data, server->name.len);
	ngx_memcpy(&worker->address, server->addrs[0].sockaddr, server->addrs[0].socklen);
	worker->address_len = server->addrs[0].socklen;
	return NGX_OK;
}

static ngx_int_t init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
	pygmy_upstream *upstream = ngx_http_conf_upstream_srv_conf(us, ngx_http_pygmy_module);
	ngx_http_upstream_server_t *servers = us->servers->elts;
	if (us->servers->nelts > ROTATION_NODES_MAX) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "a frontend has at most %d nodes", ROTATION_NODES_MAX);
		return NGX_ERROR;
	}
	for (ngx_uint_t i = 0; i < ROTATION_NODES_MAX; i++)
		ngx_memzero(&seeds[i].workers[upstream->kind], sizeof seeds[i].workers[upstream->kind]);
	for (ngx_uint_t i = 0; i < us->servers->nelts; i++)
		if (take_seed(cf, &servers[i], &seeds[i].workers[upstream->kind]) != NGX_OK)
			return NGX_ERROR;
	seed_counts[upstream->kind] = (uint32_t)us->servers->nelts;
	us->peer.init = init_peer;
	return NGX_OK;
}

void *pygmy_balancer_create_upstream(ngx_conf_t *cf)
{
	return ngx_pcalloc(cf->pool, sizeof(pygmy_upstream));
}

static bool find_word(const ngx_str_t *word, const char *const *words, ngx_uint_t count, ngx_uint_t *index)
{
	for (*index = 0; *index < count; (*index)++)
		if (word->len == ngx_strlen(words[*index]) && ngx_strncmp(word->data, words[*index], word->len) == 0)
			return true;
	return false;
}

char *pygmy_balancer_nodes(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
	static const char *const KINDS[] = { "catalog", "order" }, *const POLICIES[] = { "turns", "first", "ready", "named" };
	static const char *const BLAME[] = { "unblamed" };
	ngx_http_upstream_srv_conf_t *us = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);
	pygmy_upstream *upstream = conf;
	ngx_str_t *words = cf->args->elts;
	ngx_uint_t unused;
	(void)command;
	if (us->peer.init_upstream != NULL)
		return "must stand before keepalive";
	if (!find_word(&words[1], KINDS, 2, &upstream->kind) || !find_word(&words[2], POLICIES, 4, &upstream->policy) ||
			(cf->args->nelts > 3 && !find_word(&words[3], BLAME, 1, &unused)))
		return "takes catalog or order, then turns, first, ready or named, then unblamed or nothing";
	upstream->unblamed = cf->args->nelts > 3;
	us->peer.init_upstream = init_upstream;
	return NGX_CONF_OK;
}

/*
 * sessions: TLS sessions with nodes, so that a new connection to a node needs no whole handshake. Each worker of nginx keeps the last one of each
 * node's worker, as nginx itself does without a zone.
 *
 * The headers that this is compiled with know nothing of TLS; Debian's nginx does. Hence the declarations.
 */
#include "nginx/module/pygmy_module.h"
#include "nginx/rotation.h"

extern ngx_int_t ngx_ssl_set_session(ngx_connection_t *connection, void *session) __attribute__((weak));
extern void *ngx_ssl_get_session(ngx_connection_t *connection) __attribute__((weak));
extern void SSL_SESSION_free(void *session) __attribute__((weak));

struct session {
	uint32_t id;                  /* of the node that it is with; 0: none */
	void *session;
};

static struct session sessions[ROTATION_NODES_MAX][ROTATION_KINDS];

static bool is_possible(void)
{
	return ngx_ssl_set_session != NULL && ngx_ssl_get_session != NULL && SSL_SESSION_free != NULL;
}

ngx_int_t pygmy_sessions_set(ngx_connection_t *connection, const struct rotation_node *node, enum rotation_kind kind)
{
	const struct session *kept = &sessions[node->slot][kind];
	if (!is_possible() || kept->id != node->id)
		return NGX_OK;
	return ngx_ssl_set_session(connection, kept->session);
}

void pygmy_sessions_keep(ngx_connection_t *connection, const struct rotation_node *node, enum rotation_kind kind)
{
	struct session *kept = &sessions[node->slot][kind];
	void *session = is_possible() ? ngx_ssl_get_session(connection) : NULL;
	if (session == NULL)
		return;
	if (kept->id != 0)
		SSL_SESSION_free(kept->session);
	*kept = (struct session){ node->id, session };
}

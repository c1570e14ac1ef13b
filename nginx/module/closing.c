/*
 * closing: telling clients that this nginx is about to stop, so that none of them sends a request into a connection that is being closed.
 *
 * Who stops nginx makes the file $PYGMY_RUN_DIR/closing first. While it is there, every answer says "Connection: close"; so do those
 * that a worker gives while it is shutting down. A request that comes on a new connection is answered as ever.
 */
#include "nginx/module/pygmy_module.h"

#define LOOK_EVERY_MS 100

/* The mark, seen from nginx's prefix, $PYGMY_RUN_DIR/nginx/. */
#define MARK "../closing"

/* Of this worker: one look serves all requests for a while. */
static bool is_marked(void)
{
	static ngx_msec_t looked_at_ms;
	static bool was_there, looked;
	if (looked && ngx_current_msec - looked_at_ms < LOOK_EVERY_MS)
		return was_there;
	char path[NGX_MAX_PATH];
	u_char *end = ngx_snprintf((u_char *)path, sizeof path - 1, "%V" MARK, &ngx_cycle->prefix);
	*end = '\0';
	looked = true;
	looked_at_ms = ngx_current_msec;
	was_there = access(path, F_OK) == 0;
	return was_there;
}

void pygmy_closing_answer(ngx_http_request_t *r)
{
	if (r->keepalive && (ngx_exiting || is_marked()))
		r->keepalive = 0;
}

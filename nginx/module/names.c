/*
 * names: finds the addresses of nodes whose URLs have host names, and notices when they change.
 *
 * getaddrinfo reads what the machine's owner says of names (/etc/hosts, DNS and its search list), which nginx's own resolver does not; and it
 * blocks. So it runs in a thread of nginx's pool "pygmy_names" (of a frontend), and its answer is taken in by the event loop. Of several
 * addresses the one that is in use is kept, else it is the first. Without an answer nothing changes.
 */
#include "nginx/module/pygmy_module.h"

#include <netdb.h>

#include "nginx/rotation.h"

#define UNDER_WAY_MAX 16              /* below the max_queue of the pool */

typedef struct {
	ngx_pool_t *pool;             /* which all of this is in */
	struct rotation_node node;
	enum rotation_kind kind;
	union rotation_address found;
	uint32_t found_len;           /* 0: none */
} pygmy_name;

static unsigned under_way;

/* Called by Lua, in a worker. False: too many are asked for already, or there is no memory. */
bool pygmy_module_resolve(const struct rotation_node *node, int kind);

static bool is_in_use(const struct addrinfo *info, const struct rotation_worker *worker)
{
	return info->ai_addrlen == worker->address_len && memcmp(info->ai_addr, &worker->address, worker->address_len) == 0;
}

static void choose_address(pygmy_name *name, const struct addrinfo *infos)
{
	for (const struct addrinfo *info = infos; info != NULL; info = info->ai_next) {
		bool in_use = is_in_use(info, &name->node.workers[name->kind]);
		if (info->ai_addrlen > sizeof name->found || (name->found_len > 0 && !in_use))
			continue;
		memset(&name->found, 0, sizeof name->found);
		memcpy(&name->found, info->ai_addr, info->ai_addrlen);
		name->found_len = info->ai_addrlen;
		if (in_use)
			return;
	}
}

/* In the thread. */
static void look_up(void *data, ngx_log_t *log)
{
	pygmy_name *name = data;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV }, *infos = NULL;
	char host[ROTATION_PLACE_MAX_BYTES + 1];
	(void)log;
	memcpy(host, name->node.workers[name->kind].place, sizeof host);
	char *colon = strrchr(host, ':');
	if (colon == NULL)
		return;
	*colon = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &infos) != 0)
		return;
	choose_address(name, infos);
	freeaddrinfo(infos);
}

/* In the worker again. */
static void take_answer(ngx_event_t *event)
{
	pygmy_name *name = event->data;
	under_way--;
	if (name->found_len > 0 && pygmy_attached_rotation() != NULL)
		rotation_resolved(pygmy_attached_rotation(), name->node.slot, name->node.id, name->kind, &name->found, name->found_len);
	ngx_destroy_pool(name->pool);
}

bool pygmy_module_resolve(const struct rotation_node *node, int kind)
{
	static ngx_str_t threads = ngx_string("pygmy_names");
	ngx_thread_pool_t *thread_pool = ngx_thread_pool_get((ngx_cycle_t *)ngx_cycle, &threads);
	if (thread_pool == NULL || under_way >= UNDER_WAY_MAX)
		return false;
	ngx_pool_t *pool = ngx_create_pool(4096, ngx_cycle->log);
	if (pool == NULL)
		return false;
	ngx_thread_task_t *task = ngx_thread_task_alloc(pool, sizeof(pygmy_name));
	if (task == NULL) {
		ngx_destroy_pool(pool);
		return false;
	}
	pygmy_name *name = task->ctx;
	name->pool = pool;
	name->node = *node;
	name->kind = (enum rotation_kind)kind;
	name->found_len = 0;
	task->handler = look_up;
	task->event.handler = take_answer;
	task->event.data = name;
	if (ngx_thread_task_post(thread_pool, task) != NGX_OK) {
		ngx_destroy_pool(pool);
		return false;
	}
	under_way++;
	return true;
}

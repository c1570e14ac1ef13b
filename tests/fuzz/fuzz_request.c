/*
 * fuzz_request: whole requests, up to where a replica would be needed.
 *
 * Input: lines NAME=value are FastCGI parameters, an empty line ends them, the rest is the body. Both apps are asked, with both
 * tokens' headers possible. Whatever comes: the answer is a complete head with a JSON body whose status agrees with the head, and
 * without a replica nothing but /livez, /status and /metrics succeeds.
 */
#include <stdint.h>
#include <stdlib.h>

#include "db/query_string.h"
#include "fcgi/catalog/catalog.h"
#include "fcgi/common/serve.h"
#include "fcgi/order/order.h"

#define PARAMS_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct body {
	const char *bytes;
	size_t left;
};

static struct worker catalog, order;
static struct exchange catalog_exchange, order_exchange;

static size_t read_body(void *context, char *bytes, size_t size)
{
	struct body *body = context;
	size_t count = body->left < size ? body->left : size;
	if (count > 0)
		memcpy(bytes, body->bytes, count);
	body->bytes += count;
	body->left -= count;
	return count;
}

static void open_worker(struct worker *worker, struct exchange *exchange, const struct worker_app *app)
{
	worker_init(worker, app);
	worker->auth.has_admin = worker->auth.has_peer = true;
	memset(worker->auth.admin, '1', TOKEN_HEX_LEN);
	memset(worker->auth.peer, '2', TOKEN_HEX_LEN);
	exchange_init(exchange, worker);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	diagnostics_init("fuzz", (enum diagnostics_level)(DIAGNOSTICS_ERROR + 1));
	open_worker(&catalog, &catalog_exchange, &catalog_app);
	open_worker(&order, &order_exchange, &order_app);
	return 0;
}

static void check_body(struct slice body, int status)
{
	json_t *json = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
	if (json == NULL || json_integer_value(json_object_get(json, "validation_code")) != status)
		abort();
	json_decref(json);
}

static void ask(struct exchange *exchange, char **params, struct body body)
{
	struct request_source source = { .params = params, .read_body = read_body, .context = &body };
	struct slice answer = serve(exchange, &source);
	int status = exchange->answer.status;
	const char *end = answer.len == 0 ? NULL : memmem(answer.ptr, answer.len, "\r\n\r\n", 4);
	if (end == NULL || !slice_starts_with(answer, SLICE_LITERAL("Status: ")) || strtol(answer.ptr + 8, NULL, 10) != status)
		abort();
	struct slice content = { end + 4, answer.len - (size_t)(end + 4 - answer.ptr) };
	if (exchange->answer.error == PYGMY_OK && (exchange->route == NULL || exchange->route->needs_replica))
		abort();
	if (memmem(answer.ptr, (size_t)(end - answer.ptr), "X-Accel-Expires: 0", 18) == NULL || !utf8_is_valid(content))
		abort();
	if (!exchange->request.head_only && exchange->answer.content_type[0] == 'a')
		check_body(content, status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *params[PARAMS_MAX + 1];
	size_t count = 0, at = 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (at < size && text[at] != '\n' && count < PARAMS_MAX) {
		char *line = text + at;
		char *end = memchr(line, '\n', size - at);
		at = end == NULL ? size : (size_t)(end - text) + 1;
		if (end != NULL)
			*end = '\0';
		params[count++] = line;
	}
	params[count] = NULL;
	if (at < size)
		at++;
	ask(&catalog_exchange, params, (struct body){ text + at, size - at });
	ask(&order_exchange, params, (struct body){ text + at, size - at });
	free(text);
	return 0;
}

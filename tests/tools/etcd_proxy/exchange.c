/* exchange: requests and answers, one after the other, and what is done to them; see proxy.h. */
#include "tests/tools/etcd_proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/common/listener.h"

static bool connect_upstream(struct proxy_connection *connection)
{
	int fd = listener_connect(&connection->address);
	if (fd < 0)
		return false;
	side_close(&connection->upstream);
	connection->upstream = (struct proxy_side){ .fd = fd, .other_fd = connection->client.fd };
	return true;
}

/* The answer's head, behind those that only say that the request may go on. */
static bool read_answer_head(struct proxy_connection *connection, struct proxy_message *answer)
{
	while (side_read_head(&connection->upstream, answer)) {
		if (strncmp(answer->head, "HTTP/1.1 100", 12) != 0)
			return true;
		message_free(answer);
	}
	return false;
}

static bool send_request(struct proxy_connection *connection, const struct proxy_message *request)
{
	return side_write(connection->upstream.fd, request->head, strlen(request->head)) &&
	       side_write(connection->upstream.fd, request->body, request->body_len);
}

/* Sends the request and reads the answer's head; once more where a connection that was kept has died meanwhile. */
static bool forward(struct proxy_connection *connection, const struct proxy_message *request, struct proxy_message *answer)
{
	bool was_kept = connection->upstream.fd >= 0;
	if (was_kept && send_request(connection, request) && read_answer_head(connection, answer))
		return true;
	return connect_upstream(connection) && send_request(connection, request) && read_answer_head(connection, answer);
}

static bool send_answer(struct proxy_connection *connection, const struct proxy_message *answer)
{
	int line = (int)strcspn(answer->head, "\r");
	return side_printf(connection->client.fd, "%.*s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", line, answer->head,
			   answer->body_len) &&
	       side_write(connection->client.fd, answer->body, answer->body_len);
}

static bool send_error(struct proxy_connection *connection, int64_t status)
{
	static const char body[] = "{\"error\":\"etcd_proxy says so\",\"message\":\"etcd_proxy says so\",\"code\":14}";
	return side_printf(connection->client.fd, "HTTP/1.1 %d Spoiled\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", (int)status,
			   sizeof body - 1, body);
}

/* Until the client gives up. */
static void hang(struct proxy_connection *connection)
{
	while (side_fill(&connection->client, -1) > 0)
		connection->client.start = connection->client.len;
}

static bool is_path(const struct proxy_message *request, const char *path)
{
	const char *at = strchr(request->head, ' ');
	return at != NULL && strncmp(at + 1, path, strlen(path)) == 0 && at[1 + strlen(path)] == ' ';
}

static bool is_put(const struct proxy_message *request)
{
	return is_path(request, "/v3/kv/put") || (is_path(request, "/v3/kv/txn") && request->body_len > 0 &&
						  memmem(request->body, request->body_len, "\"request_put\"", 13) != NULL);
}

/* False: the connection is of no more use. */
static bool relay(struct proxy_connection *connection, const struct proxy_message *request, bool drops_answer, int64_t error_status)
{
	struct proxy_message answer = { 0 };
	bool good = forward(connection, request, &answer);
	if (good && is_path(request, "/v3/watch") && answer.is_chunked && !drops_answer && error_status == 0) {
		stream_run(connection, &answer);
		good = false;
	} else if (good) {
		good = side_read_body(&connection->upstream, &answer);
	}
	int64_t delay_ms = proxy_faults_now().delay_ms;
	if (good && delay_ms > 0) {
		proxy_count(delayed);
		tool_sleep_ms(delay_ms);
	}
	if (good && drops_answer)
		hang(connection);
	else if (good)
		good = error_status != 0 ? send_error(connection, error_status) : send_answer(connection, &answer);
	message_free(&answer);
	return good && !drops_answer;
}

static bool serve(struct proxy_connection *connection, const struct proxy_message *request)
{
	struct proxy_faults faults = proxy_faults_now();
	proxy_count(requests);
	if (faults.refuse != 0) {
		proxy_count(refused);
		return false;
	}
	if (is_put(request) && control_strikes(&connection->chance, faults.put_swallowed)) {
		proxy_count(puts_swallowed);
		hang(connection);
		return false;
	}
	if (is_put(request) && control_strikes(&connection->chance, faults.put_lost)) {
		proxy_count(puts_lost);
		return relay(connection, request, true, 0);
	}
	if (!control_strikes(&connection->chance, faults.error))
		return relay(connection, request, false, 0);
	if (is_path(request, "/v3/watch") || tool_random_below(&connection->chance, 2) == 0) {
		proxy_count(errors_swallowed);
		return send_error(connection, faults.status);
	}
	proxy_count(errors_forwarded);
	return relay(connection, request, false, faults.status);
}

static bool read_request(struct proxy_connection *connection, struct proxy_message *request)
{
	return side_read_head(&connection->client, request) &&
	       (strcasestr(request->head, "\r\nExpect: 100-continue\r\n") == NULL ||
		side_printf(connection->client.fd, "HTTP/1.1 100 Continue\r\n\r\n")) &&
	       side_read_body(&connection->client, request);
}

void exchange_run(struct proxy_connection *connection)
{
	bool good = proxy_faults_now().refuse == 0;
	if (!good)
		proxy_count(refused);
	while (good) {
		struct proxy_message request = { 0 };
		good = read_request(connection, &request) && serve(connection, &request);
		message_free(&request);
	}
	side_close(&connection->client);
	side_close(&connection->upstream);
}

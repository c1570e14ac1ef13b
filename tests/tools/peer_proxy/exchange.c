/* exchange: requests and answers between a node and a frontend, one after the other, and what is done to them; see peer.h. */
#include "tests/tools/peer_proxy/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_EVERY_MS 450            /* below the read timeouts of nginx's configuration */

static bool connect_upstream(struct peer_connection *connection)
{
	int fd = listener_connect(&connection->address);
	if (fd < 0)
		return false;
	side_close(&connection->upstream);
	connection->upstream = (struct proxy_side){ .fd = fd, .other_fd = connection->client.fd };
	return true;
}

static bool send_message(int fd, const struct proxy_message *message)
{
	return side_write(fd, message->head, strlen(message->head)) && side_write(fd, message->body, message->body_len);
}

/* A chunked body is read as a whole and sent on with its length. */
static bool normalise(struct proxy_message *answer)
{
	static const char chunked[] = "Transfer-Encoding: chunked\r\n";
	char *at = strcasestr(answer->head, chunked);
	if (!answer->is_chunked || at == NULL)
		return true;
	size_t before = (size_t)(at - answer->head), size = strlen(answer->head) + 64;
	char *head = malloc(size);
	if (head == NULL)
		return false;
	snprintf(head, size, "%.*sContent-Length: %zu\r\n%s", (int)before, answer->head, answer->body_len, at + sizeof chunked - 1);
	free(answer->head);
	answer->head = head;
	return true;
}

static bool has_body(const struct proxy_message *answer)
{
	return strncmp(answer->head, "HTTP/1.1 204", 12) != 0 && strncmp(answer->head, "HTTP/1.1 304", 12) != 0;
}

static bool read_answer(struct peer_connection *connection, struct proxy_message *answer)
{
	message_free(answer);
	return side_read_head(&connection->upstream, answer) && (!has_body(answer) || side_read_body(&connection->upstream, answer)) && normalise(answer);
}

/* Once more where a connection that was kept has died meanwhile. */
static bool forward(struct peer_connection *connection, const struct proxy_message *request, struct proxy_message *answer)
{
	bool was_kept = connection->upstream.fd >= 0;
	if (was_kept && send_message(connection->upstream.fd, request) && read_answer(connection, answer))
		return true;
	return connect_upstream(connection) && send_message(connection->upstream.fd, request) && read_answer(connection, answer);
}

/* Until the client gives up. */
static void hang(struct peer_connection *connection)
{
	while (side_fill(&connection->client, -1) > 0)
		connection->client.start = connection->client.len;
}

static int64_t draw_delay_ms(struct peer_connection *connection, const struct peer_faults *faults)
{
	return tool_random_below(&connection->chance, faults->delay_max_ms + 1);
}

static void count_delay(const struct peer_faults *faults, int64_t delay_ms)
{
	int64_t class = delay_ms * DELAY_CLASSES / (faults->delay_max_ms + 1);
	atomic_fetch_add(&peer_counts.delays[class], 1);
}

/* ---- pushes ----------------------------------------------------------------------------------------------- */

/* What was sent arrives, whether or not the sender still waits. */
static void deliver_late(struct peer_connection *connection, const struct proxy_message *request, int64_t delay_ms)
{
	struct proxy_message answer = { 0 };
	tool_sleep_ms(delay_ms);
	if (connect_upstream(connection)) {
		connection->upstream.other_fd = -1;
		if (send_message(connection->upstream.fd, request))
			(void)read_answer(connection, &answer);
	}
	message_free(&answer);
}

/* False: the connection is of no more use. */
static bool relay(struct peer_connection *connection, const struct proxy_message *request)
{
	struct proxy_message answer = { 0 };
	bool good = forward(connection, request, &answer) && send_message(connection->client.fd, &answer);
	message_free(&answer);
	return good;
}

static bool pass_push(struct peer_connection *connection, const struct proxy_message *request, const struct peer_faults *faults)
{
	struct proxy_message answer = { 0 };
	struct tool_chance *chance = &connection->chance;
	peer_count(pushes);
	if (control_strikes(chance, faults->push_swallowed)) {
		peer_count(pushes_swallowed);
		hang(connection);
		return false;
	}
	if (control_strikes(chance, faults->push_unanswered)) {
		peer_count(pushes_unanswered);
		if (forward(connection, request, &answer))
			hang(connection);
		message_free(&answer);
		return false;
	}
	if (control_strikes(chance, faults->push_broken)) {
		peer_count(pushes_broken);
		if (tool_random_below(chance, 2) == 0)
			(void)forward(connection, request, &answer);
		message_free(&answer);
		return false;
	}
	if (control_strikes(chance, faults->push_forged)) {
		peer_count(pushes_forged);
		return side_printf(connection->client.fd, "HTTP/1.1 204 No Content\r\n\r\n");
	}
	if (control_strikes(chance, faults->push_late)) {
		peer_count(pushes_late);
		deliver_late(connection, request, draw_delay_ms(connection, faults));
		return false;
	}
	return relay(connection, request);
}

/* ---- leases and fills ------------------------------------------------------------------------------------- */

static bool pass_lease(struct peer_connection *connection, const struct proxy_message *request, const struct peer_faults *faults)
{
	struct proxy_message answer = { 0 };
	peer_count(leases);
	if (control_strikes(&connection->chance, faults->lease_lost)) {
		peer_count(leases_lost);
		if (tool_random_below(&connection->chance, 2) == 0 || forward(connection, request, &answer))
			hang(connection);
		message_free(&answer);
		return false;
	}
	bool good = forward(connection, request, &answer);
	if (good && control_strikes(&connection->chance, faults->lease_late)) {
		peer_count(leases_late);
		tool_sleep_ms(draw_delay_ms(connection, faults));
	}
	good = good && send_message(connection->client.fd, &answer);
	message_free(&answer);
	return good;
}

/* Head and body in pieces, with a pause behind each. */
static bool trickle(struct peer_connection *connection, const struct proxy_message *answer, int64_t delay_ms)
{
	int64_t pieces = delay_ms / PIECE_EVERY_MS + 1;
	size_t sent = 0, piece = answer->body_len / (size_t)pieces;
	bool good = side_write(connection->client.fd, answer->head, strlen(answer->head));
	for (int64_t i = 1; good && i <= pieces; i++) {
		size_t len = i < pieces ? piece : answer->body_len - sent;
		tool_sleep_ms(delay_ms / pieces);
		good = side_write(connection->client.fd, answer->body + sent, len);
		sent += len;
	}
	return good;
}

static bool pass_fill(struct peer_connection *connection, const struct proxy_message *request, const struct peer_faults *faults)
{
	struct proxy_message answer = { 0 };
	int64_t delay_ms = draw_delay_ms(connection, faults);
	peer_count(fills);
	bool good = forward(connection, request, &answer);
	if (good && answer.body_len > 0 && control_strikes(&connection->chance, faults->fill_trickled)) {
		peer_count(fills_trickled);
		count_delay(faults, delay_ms);
		good = trickle(connection, &answer, delay_ms);
	} else {
		if (good && control_strikes(&connection->chance, faults->fill_held)) {
			peer_count(fills_held);
			count_delay(faults, delay_ms);
			tool_sleep_ms(delay_ms);
		}
		good = good && send_message(connection->client.fd, &answer);
	}
	message_free(&answer);
	return good;
}

/* ---- a connection ----------------------------------------------------------------------------------------- */

static bool asks_for(const struct proxy_message *request, const char *path)
{
	const char *at = strchr(request->head, ' ');
	return at != NULL && strncmp(at + 1, path, strlen(path)) == 0;
}

static bool serve(struct peer_connection *connection, const struct proxy_message *request)
{
	struct peer_faults faults = peer_faults_now();
	peer_count(requests);
	if (asks_for(request, "/coherence/push"))
		return pass_push(connection, request, &faults);
	if (asks_for(request, "/coherence/"))
		return pass_lease(connection, request, &faults);
	if (strcasestr(request->head, "\r\nX-Pygmy-Needs-Revision:") != NULL)
		return pass_fill(connection, request, &faults);
	return relay(connection, request);
}

static bool read_request(struct peer_connection *connection, struct proxy_message *request)
{
	return side_read_head(&connection->client, request) &&
	       (strcasestr(request->head, "\r\nExpect: 100-continue\r\n") == NULL ||
		side_printf(connection->client.fd, "HTTP/1.1 100 Continue\r\n\r\n")) &&
	       side_read_body(&connection->client, request);
}

void peer_run(struct peer_connection *connection)
{
	bool good = true;
	while (good) {
		struct proxy_message request = { 0 };
		good = read_request(connection, &request) && serve(connection, &request);
		message_free(&request);
	}
	side_close(&connection->client);
	side_close(&connection->upstream);
}

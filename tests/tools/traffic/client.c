/* client: one connection's requests; see traffic.h. */
#include <string.h>

#include "tests/tools/traffic/traffic.h"

void client_open(struct traffic_client *client, const struct traffic_terms *terms, bool keepalive)
{
	client->handle = tool_handle(&client->answer, (long)terms->timeout_ms);
	curl_easy_setopt(client->handle, CURLOPT_PRIVATE, client);
	/* On a connection that was used before, libcurl would quietly send a request once more when the server had closed it. */
	if (!keepalive) {
		curl_easy_setopt(client->handle, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(client->handle, CURLOPT_FORBID_REUSE, 1L);
	}
}

void client_close(struct traffic_client *client)
{
	curl_easy_cleanup(client->handle);
	curl_slist_free_all(client->headers);
	answer_free(&client->answer);
}

void client_send(CURLM *multi, struct traffic_client *client)
{
	answer_clear(&client->answer);
	client->busy = true;
	curl_easy_setopt(client->handle, CURLOPT_URL, client->url);
	curl_easy_setopt(client->handle, CURLOPT_HTTPHEADER, client->headers);
	if (client->kind == TRAFFIC_WRITE)
		curl_easy_setopt(client->handle, CURLOPT_POSTFIELDS, "");
	else
		curl_easy_setopt(client->handle, CURLOPT_HTTPGET, 1L);
	curl_multi_add_handle(multi, client->handle);
}

void client_send_purchase(CURLM *multi, struct traffic_client *client, const char *base, int64_t number)
{
	char key[TRAFFIC_KEY_MAX];
	const struct purchase *purchase = purchases_get(number);
	purchases_key(number, key);
	snprintf(client->url, sizeof client->url, "%s/buy?id=%lld&quantity=%lld", base, (long long)purchase->item,
		(long long)purchase->quantity);
	curl_slist_free_all(client->headers);
	client->headers = tool_header(NULL, "Idempotency-Key: %s", key);
	client->kind = TRAFFIC_WRITE;
	client->purchase = number;
	client_send(multi, client);
}

struct traffic_client *client_finished(CURLM *multi)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		struct traffic_client *client;
		CURLcode result = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&client);
		answer_finish(&client->answer, client->handle, result);
		curl_multi_remove_handle(multi, client->handle);
		client->busy = false;
		return client;
	}
	return NULL;
}

bool answer_is_definite(const struct answer *answer)
{
	char outcome[64];
	if (answer->result != CURLE_OK)
		return false;
	if (answer->status == 200)
		return true;
	answer_outcome(answer, outcome, sizeof outcome);
	return answer->status == 404 && (strcmp(outcome, "sold_out") == 0 || strcmp(outcome, "insufficient_stock") == 0);
}

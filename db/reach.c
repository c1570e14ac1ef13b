/* reach: see reach.h. Frontends come back rarely: each question makes its own connections. */
#include "db/reach.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_HEADER_MAX 256
#define BODY_MAX (NODE_URL_MAX_BYTES + 16)
#define TRIES 2
#define HTTP_OK 200
#define HTTP_CONFLICT 409             /* of FRONTEND_UNREACHABLE */

static size_t discard(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

static struct curl_slist *make_headers(const struct cluster_config *config)
{
	char authorization[TOKEN_HEADER_MAX];
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", config->peer_token != NULL ? config->peer_token : "");
	struct curl_slist *both = headers == NULL ? NULL : curl_slist_append(headers, authorization);
	sodium_memzero(authorization, sizeof authorization);
	if (both == NULL)
		curl_slist_free_all(headers);
	return both;
}

/* NULL without memory. */
static CURL *make_request(const struct cluster_config *config, struct curl_slist *headers, const char *base, const char *path, long timeout_ms)
{
	char url[NODE_URL_MAX_BYTES + 32];
	CURL *easy = curl_easy_init();
	if (easy == NULL)
		return NULL;
	snprintf(url, sizeof url, "%s%s", base, path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	if (tls_apply(easy, &config->tls))
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

static long status_of(CURL *easy)
{
	long status = 0;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

enum pygmy_error reach_frontend(const struct cluster_config *config, const char *url)
{
	struct curl_slist *headers = make_headers(config);
	CURL *easy = headers == NULL ? NULL : make_request(config, headers, url, "/coherence/status", REACH_TRY_MS);
	enum pygmy_error error = easy == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_FRONTEND_UNREACHABLE;
	for (int i = 0; i < TRIES && error == PYGMY_FRONTEND_UNREACHABLE; i++)
		if (curl_easy_perform(easy) == CURLE_OK && status_of(easy) == HTTP_OK)
			error = PYGMY_OK;
	if (easy != NULL)
		curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return error;
}

/* ---- of the other nodes ------------------------------------------------------------------------------ */

struct questions {
	CURLM *multi;
	CURL *easy[MEMBERS_MAX];      /* NULL: not asked */
	char body[BODY_MAX];
};

static void ask_members(struct questions *questions, const struct cluster_config *config, const struct configured_member *members, size_t count,
	struct curl_slist *headers)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(members[i].name, config->node) == 0)
			continue;
		CURL *easy = make_request(config, headers, members[i].catalog_url, "/coherence/reach", REACH_ALL_MS);
		if (easy == NULL)
			continue;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, questions->body);
		questions->easy[i] = easy;
		curl_multi_add_handle(questions->multi, easy);
	}
}

static void wait_for_answers(const struct questions *questions)
{
	int running = 0;
	do {
		if (curl_multi_perform(questions->multi, &running) != CURLM_OK)
			return;
		if (running > 0)
			curl_multi_poll(questions->multi, NULL, 0, REACH_ALL_MS, NULL);
	} while (running > 0);
}

enum pygmy_error reach_from_all(const struct cluster_config *config, const struct configured_member *members, size_t count, const char *url,
	char who[NODE_NAME_MAX_BYTES + 1])
{
	struct questions questions = { .multi = NULL };
	snprintf(questions.body, sizeof questions.body, "{\"url\":\"%s\"}", url);
	memcpy(who, config->node, strlen(config->node) + 1);
	enum pygmy_error error = reach_frontend(config, url);
	if (error != PYGMY_OK)
		return error;
	who[0] = '\0';
	struct curl_slist *headers = make_headers(config);
	questions.multi = curl_multi_init();
	error = headers == NULL || questions.multi == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_OK;
	if (error == PYGMY_OK) {
		ask_members(&questions, config, members, count, headers);
		wait_for_answers(&questions);
	}
	for (size_t i = 0; i < count; i++) {
		if (questions.easy[i] == NULL)
			continue;
		if (status_of(questions.easy[i]) == HTTP_CONFLICT) {
			error = PYGMY_FRONTEND_UNREACHABLE;
			memcpy(who, members[i].name, sizeof members[i].name);
		}
		curl_multi_remove_handle(questions.multi, questions.easy[i]);
		curl_easy_cleanup(questions.easy[i]);
	}
	if (questions.multi != NULL)
		curl_multi_cleanup(questions.multi);
	curl_slist_free_all(headers);
	return error;
}

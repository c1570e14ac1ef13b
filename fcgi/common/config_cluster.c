/*
 * config_cluster: the settings that make a worker one of a cluster's node. PYGMY_ETCD decides: without it the others mean nothing.
 */
#include "fcgi/common/config_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "db/etcd.h"
#include "db/member.h"

#define REFUSE(settings, ...) (snprintf((settings)->why, (settings)->why_size, __VA_ARGS__), false)

static bool is_https(struct slice url)
{
	return slice_starts_with(url, SLICE_LITERAL("https://"));
}

/* Endpoints with spaces between them. */
static bool check_etcd(const struct settings *settings, const struct worker_config *config)
{
	int count = 0;
	for (const char *text = config->etcd; *text != '\0';) {
		struct slice url = { text, strcspn(text, " ") };
		text += url.len + (text[url.len] == ' ' ? 1 : 0);
		if (url.len == 0)
			continue;
		if (++count > ETCD_ENDPOINTS_MAX)
			return REFUSE(settings, "PYGMY_ETCD takes at most %d endpoints", ETCD_ENDPOINTS_MAX);
		if (!node_url_is_valid(url))
			return REFUSE(settings, "PYGMY_ETCD: %.*s is not http://host:port or https://host:port", (int)url.len, url.ptr);
		if (is_https(url) && config->peer_ca[0] == '\0')
			return REFUSE(settings, "PYGMY_ETCD: %.*s needs PYGMY_PEER_CA, PYGMY_PEER_CERT and PYGMY_PEER_KEY", (int)url.len, url.ptr);
	}
	return true;
}

/* The certificates with which machines know each other: all or none. */
static bool load_tls(const struct settings *settings, struct worker_config *config)
{
	const struct { const char *name; char *path; } files[] = {
		{ "PYGMY_PEER_CA", config->peer_ca }, { "PYGMY_PEER_CERT", config->peer_cert }, { "PYGMY_PEER_KEY", config->peer_key },
	};
	int given = 0;
	for (int i = 0; i < 3; i++) {
		if (!config_text(settings, files[i].name, NULL, NULL, files[i].path, PATH_MAX))
			return false;
		given += files[i].path[0] != '\0';
	}
	if (given != 0 && given != 3)
		return REFUSE(settings, "set all of PYGMY_PEER_CA, PYGMY_PEER_CERT and PYGMY_PEER_KEY, or none of them");
	for (int i = 0; i < given; i++)
		if (access(files[i].path, R_OK) != 0)
			return REFUSE(settings, "%s: the file %s can't be read", files[i].name, files[i].path);
	return true;
}

/* PYGMY_NODE_URL, or where this machine's nginx listens for its catalog worker, if that is an address that others could use. */
static bool load_url(const struct settings *settings, struct worker_config *config)
{
	struct slice listen = config_find(settings, "PYGMY_LISTEN"), port = config_find(settings, "PYGMY_PORT_CATALOG_A");
	bool is_derived = config_find(settings, "PYGMY_NODE_URL").len == 0;
	if (!config_text(settings, "PYGMY_NODE_URL", NULL, NULL, config->node_url, sizeof config->node_url))
		return false;
	if (is_derived && listen.len > 0 && port.len > 0 && !slice_equal(listen, SLICE_LITERAL("0.0.0.0")))
		snprintf(config->node_url, sizeof config->node_url, "%s://%.*s:%.*s", config->peer_ca[0] != '\0' ? "https" : "http",
			(int)listen.len, listen.ptr, (int)port.len, port.ptr);
	if (config->node_url[0] == '\0' || node_url_is_valid(slice_of(config->node_url)))
		return true;
	return REFUSE(settings, "%s: %s is not http://host:port or https://host:port",
		is_derived ? "PYGMY_LISTEN and PYGMY_PORT_CATALOG_A" : "PYGMY_NODE_URL", config->node_url);
}

bool config_load_cluster(const struct settings *settings, struct worker_config *config)
{
	if (!config_text(settings, "PYGMY_ETCD", NULL, NULL, config->etcd, sizeof config->etcd))
		return false;
	if (config->etcd[strspn(config->etcd, " ")] == '\0') {
		config->etcd[0] = '\0';
		return true;
	}
	if (!config_text(settings, "PYGMY_NODE", NULL, NULL, config->node, sizeof config->node) || !load_tls(settings, config) ||
			!check_etcd(settings, config) || !load_url(settings, config))
		return false;
	if (!node_name_is_valid(slice_of(config->node)))
		return REFUSE(settings, "PYGMY_NODE must be this node's name: 1 to %d letters, digits and hyphens", NODE_NAME_MAX_BYTES);
	if (config->state_dir[0] == '\0')
		return REFUSE(settings, "set PYGMY_STATE_DIR: a node of a cluster keeps snapshots there");
	return true;
}

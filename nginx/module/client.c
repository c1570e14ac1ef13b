/*
 * client: who a request counts for.
 *
 *     $pygmy_client_key    $pygmy_client as 8 bytes, an IPv6 address by its first 64 bits (client_key.h); empty when it is no address
 */
#include "nginx/module/pygmy_module.h"

#include "nginx/client_key.h"

static ngx_int_t client_index;

static ngx_int_t get_client_key(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t unused)
{
	char bytes[sizeof(uint64_t)];
	uint64_t key;
	const ngx_http_variable_value_t *client = ngx_http_get_indexed_variable(r, (ngx_uint_t)client_index);
	(void)unused;
	if (client == NULL || client->not_found || !client_key_read((struct slice){ (const char *)client->data, client->len }, &key))
		return pygmy_set_value(r, value, "", 0);
	memcpy(bytes, &key, sizeof bytes);
	return pygmy_set_value(r, value, bytes, sizeof bytes);
}

ngx_int_t pygmy_client_add_variables(ngx_conf_t *cf)
{
	ngx_str_t name = ngx_string("pygmy_client_key"), client = ngx_string("pygmy_client");
	ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, 0);
	if (variable == NULL)
		return NGX_ERROR;
	variable->get_handler = get_client_key;
	client_index = ngx_http_get_variable_index(cf, &client);
	return client_index == NGX_ERROR ? NGX_ERROR : NGX_OK;
}

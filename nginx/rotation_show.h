/*
 * rotation_show: the rotation as JSON, for people and for the client.
 *
 *     {"message":{},"nodes":[{"catalog":"in","catalog_place":"127.0.1.1:8011","name":"A","order":"silent","order_place":"127.0.1.1:8013"}],
 *      "revision":12,"status":"Success","validation_code":200}
 *
 * A node of which only the address is known has no name. revision: of the log; 0 while only the configuration's nodes are known.
 */
#ifndef PYGMY_NGINX_ROTATION_SHOW_H
#define PYGMY_NGINX_ROTATION_SHOW_H

#include "nginx/rotation.h"

#define ROTATION_SHOW_MAX_BYTES (256 + ROTATION_NODES_MAX * (160 + 2 * ROTATION_PLACE_MAX_BYTES))

/* "in", "unready" or "silent". */
const char *rotation_state_name(enum rotation_state state);
const char *rotation_kind_name(enum rotation_kind kind);

/* Writes the text of a list; returns its length, at most ROTATION_SHOW_MAX_BYTES. */
size_t rotation_show(const struct rotation *rotation, const struct rotation_list *list, char text[ROTATION_SHOW_MAX_BYTES + 1]);

#endif

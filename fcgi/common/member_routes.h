/*
 * member_routes: /members: who is in the cluster and how each is, for everybody; who belongs to it, for the administrator.
 *
 * Every worker serves these. A store on one machine shows itself as the one member, and has no list to change.
 */
#ifndef PYGMY_FCGI_MEMBER_ROUTES_H
#define PYGMY_FCGI_MEMBER_ROUTES_H

#include "fcgi/common/route.h"

extern const struct route member_routes[];
extern const size_t member_route_count;

/* members_show.c */
void members_show(struct exchange *exchange);     /* GET /members */

#endif

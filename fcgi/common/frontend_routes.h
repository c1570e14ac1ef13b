/*
 * frontend_routes: who the frontends of a cluster are that writes wait for (db/apply_frontend.c).
 *
 *     POST /coherence/join       a frontend asks to count from now on; private. The answer is the index of its join, as text
 *     POST /coherence/reach      another node asks whether this one reaches a frontend; private
 *     POST /coherence/leave      a frontend that is about to stop asks not to count any more, as the one that joined at since; private
 *     DELETE /frontends/{name}   the administrator has one forgotten that is gone for good
 */
#ifndef PYGMY_FCGI_FRONTEND_ROUTES_H
#define PYGMY_FCGI_FRONTEND_ROUTES_H

#include "fcgi/common/route.h"

extern const struct route frontend_routes[];
extern const size_t frontend_route_count;

#endif

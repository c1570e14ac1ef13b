#!/bin/sh
# The load test, from the installed package.
exec /usr/lib/pygmy/client/loadtest.sh "$@"

/* version: the one place that says which version all of the store's programs are. The Debian package takes its own from here. */
#ifndef PYGMY_VERSION_H
#define PYGMY_VERSION_H

#define PYGMY_VERSION "0.1.0"

#endif

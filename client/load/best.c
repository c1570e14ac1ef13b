/* load_best: see best.h. */
#include "client/load/best.h"

#include <stdlib.h>

bool load_best_open(struct load_best *best, size_t items, size_t frontends)
{
	*best = (struct load_best){ .items = items, .frontends = frontends };
	best->writes = calloc(items, sizeof *best->writes);
	best->known = calloc(items * frontends, sizeof *best->known);
	return best->writes != NULL && best->known != NULL;
}

void load_best_close(struct load_best *best)
{
	free(best->writes);
	free(best->known);
	*best = (struct load_best){ 0 };
}

void load_best_write(struct load_best *best, size_t item)
{
	best->writes[item]++;
}

bool load_best_read(struct load_best *best, size_t item, size_t frontend)
{
	uint32_t *known = &best->known[frontend * best->items + item];
	uint32_t now = best->writes[item] + 1;
	bool possible = *known == now;
	*known = now;
	return possible;
}

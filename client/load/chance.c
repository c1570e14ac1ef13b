/* chance: see chance.h. */
#include "client/load/chance.h"

#include <math.h>
#include <stdlib.h>

uint64_t chance_number(struct chance *chance)
{
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double chance_share(struct chance *chance)
{
	return (double)(chance_number(chance) >> 11) * 0x1p-53;
}

size_t chance_below(struct chance *chance, size_t bound)
{
	return (size_t)(chance_number(chance) % bound);
}

_Bool zipf_init(struct zipf *zipf, size_t count, double exponent)
{
	double sum = 0;
	zipf->count = count;
	zipf->sums = malloc(count * sizeof *zipf->sums);
	for (size_t i = 0; i < count && zipf->sums != NULL; i++) {
		sum += pow((double)(i + 1), -exponent);
		zipf->sums[i] = sum;
	}
	return zipf->sums != NULL;
}

void zipf_close(struct zipf *zipf)
{
	free(zipf->sums);
	zipf->sums = NULL;
}

size_t zipf_rank(const struct zipf *zipf, struct chance *chance)
{
	double wanted = chance_share(chance) * zipf->sums[zipf->count - 1];
	size_t low = 0, high = zipf->count - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zipf->sums[middle] > wanted)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

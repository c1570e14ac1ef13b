/* verdict: see verdict.h. */
#include "db/verdict.h"

enum verdict verdict_of(int configured, int agree, int differ)
{
	int majority = configured / 2 + 1;
	if (differ == 0 || agree + 1 >= majority)
		return VERDICT_AGREES;
	return differ >= majority ? VERDICT_DIVERGED : VERDICT_IN_DOUBT;
}

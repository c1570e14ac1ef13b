/* entry: the envelope of entry.h. */
#include "db/entry.h"

#include <sodium.h>
#include <stdint.h>

#include "db/limits.h"

#define CHECKSUM_BYTES 16
#define FORMAT 1

static const char magic[4] = { 'P', 'G', 'M', 'Y' };

static void checksum(struct slice body, unsigned char out[CHECKSUM_BYTES])
{
	crypto_generichash(out, CHECKSUM_BYTES, (const unsigned char *)body.ptr, body.len, NULL, 0);
}

void entry_seal(struct slice body, char *out)
{
	memset(out, 0, ENTRY_HEAD_BYTES);
	memcpy(out, magic, sizeof magic);
	out[4] = FORMAT;
	for (unsigned i = 0; i < 4; i++)
		out[8 + i] = (char)(unsigned char)(body.len >> (8 * i));
	checksum(body, (unsigned char *)out + 12);
}

static size_t read_length(const char *bytes)
{
	size_t length = 0;
	for (unsigned i = 0; i < 4; i++)
		length |= (size_t)(unsigned char)bytes[i] << (8 * i);
	return length;
}

enum entry_error entry_open(struct slice entry, struct slice *body)
{
	if (entry.len < ENTRY_HEAD_BYTES || entry.len > ENTRY_MAX_BYTES || memcmp(entry.ptr, magic, sizeof magic) != 0)
		return ENTRY_DAMAGED;
	struct slice inside = { entry.ptr + ENTRY_HEAD_BYTES, entry.len - ENTRY_HEAD_BYTES };
	unsigned char sum[CHECKSUM_BYTES];
	checksum(inside, sum);
	if (read_length(entry.ptr + 8) != inside.len || memcmp(sum, entry.ptr + 12, sizeof sum) != 0)
		return ENTRY_DAMAGED;
	if (entry.ptr[4] != FORMAT || entry.ptr[5] != 0 || entry.ptr[6] != 0 || entry.ptr[7] != 0)
		return ENTRY_UNKNOWN_FORMAT;
	*body = inside;
	return ENTRY_OK;
}

/* item: ETags by BLAKE2b (libsodium). */
#include "db/item.h"

#include <sodium.h>

#include "db/codec.h"
#include "db/limits.h"

#define ETAG_BYTES (ETAG_HEX_LEN / 2)

void bytes_etag(struct slice bytes, char out[ETAG_HEX_LEN + 1])
{
	unsigned char hash[ETAG_BYTES];
	crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.ptr, bytes.len, NULL, 0);
	sodium_bin2hex(out, ETAG_HEX_LEN + 1, hash, sizeof hash);
}

void item_etag(const struct item *item, char out[ETAG_HEX_LEN + 1])
{
	char buf[TITLE_MAX_BYTES + TOPIC_MAX_BYTES + 8 * VARINT_MAX_BYTES];
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_int(&writer, item->id);
	codec_put_text(&writer, item->title);
	codec_put_text(&writer, item->topic);
	codec_put_int(&writer, item->cost_minor);
	codec_put_int(&writer, item->count);
	bytes_etag((struct slice){ buf, writer.len }, out);
}

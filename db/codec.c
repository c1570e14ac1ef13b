/* codec: see codec.h. */
#include "db/codec.h"

void codec_put_bytes(struct codec_writer *writer, const void *bytes, size_t len)
{
	if (!writer->ok || len > writer->size - writer->len) {
		writer->ok = false;
		return;
	}
	if (len > 0)
		memcpy(writer->buf + writer->len, bytes, len);
	writer->len += len;
}

void codec_put_uint(struct codec_writer *writer, uint64_t value)
{
	unsigned char bytes[VARINT_MAX_BYTES];
	size_t len = 0;
	while (value >= 0x80) {
		bytes[len++] = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	bytes[len++] = (unsigned char)value;
	codec_put_bytes(writer, bytes, len);
}

void codec_put_int(struct codec_writer *writer, int64_t value)
{
	codec_put_uint(writer, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void codec_put_text(struct codec_writer *writer, struct slice text)
{
	codec_put_uint(writer, text.len);
	codec_put_bytes(writer, text.ptr, text.len);
}

struct slice codec_get_bytes(struct codec_reader *reader, size_t len)
{
	if (!reader->ok || len > reader->left) {
		reader->ok = false;
		return SLICE_EMPTY;
	}
	struct slice bytes = { reader->ptr, len };
	reader->ptr += len;
	reader->left -= len;
	return bytes;
}

uint64_t codec_get_uint(struct codec_reader *reader)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		struct slice byte = codec_get_bytes(reader, 1);
		if (!reader->ok)
			return 0;
		uint64_t bits = (unsigned char)byte.ptr[0];
		bool last = bits < 0x80;
		bits &= 0x7f;
		bool overflow = shift == 63 && bits > 1;
		bool overlong = last && bits == 0 && shift > 0;
		if (overflow || overlong)
			break;
		value |= bits << shift;
		if (last)
			return value;
	}
	reader->ok = false;
	return 0;
}

int64_t codec_get_int(struct codec_reader *reader)
{
	uint64_t zigzag = codec_get_uint(reader);
	return (int64_t)((zigzag >> 1) ^ (~(zigzag & 1) + 1));
}

struct slice codec_get_text(struct codec_reader *reader, size_t max_len)
{
	uint64_t len = codec_get_uint(reader);
	if (len > max_len)
		reader->ok = false;
	return codec_get_bytes(reader, reader->ok ? (size_t)len : 0);
}

int64_t codec_get_range(struct codec_reader *reader, int64_t min, int64_t max)
{
	int64_t value = codec_get_int(reader);
	if (value < min || value > max)
		reader->ok = false;
	return reader->ok ? value : 0;
}

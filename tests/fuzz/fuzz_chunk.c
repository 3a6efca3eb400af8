// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Chunked bodies. The text is the body, to be read without trailers and with them; cuts are drawn
 * from the text. What must hold: see check_*().
 */
#include "chunk_oracle.h"

static bool is_over(enum chunk_event event)
{
	return event == CHUNK_END || event == CHUNK_BAD;
}

/* Byte by byte, data too. Returns the verdict; *ret_taken counts bytes, *ret_data those of data. */
static enum chunk_event follow(struct chunk *chunk, const uint8_t *bytes, size_t size,
			       size_t *ret_taken, size_t *ret_data)
{
	enum chunk_event event = CHUNK_MORE;
	size_t taken = 0, data = 0;

	while (taken < size && !is_over(event)) {
		require(chunk->skip <= INT64_MAX);
		if (!chunk->skip) {
			event = chunk_byte(chunk, bytes[taken++]);
			require((event == CHUNK_SKIP) == (chunk->skip > 0));
			continue;
		}
		taken++;
		data++;
		event = --chunk->skip ? CHUNK_MORE : chunk_skipped(chunk);
	}
	*ret_taken = taken;
	*ret_data = data;
	return is_over(event) ? event : CHUNK_MORE;
}

/* A part of a body as a buffer is scanned: data in one go, as far as it reaches. */
static enum chunk_event scan(struct chunk *chunk, const uint8_t *bytes, size_t size)
{
	enum chunk_event event = CHUNK_MORE;
	size_t at = 0;

	while (at < size && !is_over(event)) {
		if (chunk->skip > size - at) {
			chunk->skip -= size - at;
			break;
		}
		if (chunk->skip) {
			at += chunk->skip;
			event = chunk_skipped(chunk);
			continue;
		}
		event = chunk_byte(chunk, bytes[at++]);
	}
	return is_over(event) ? event : CHUNK_MORE;
}

/* However it is cut, the same is found. */
static void check_cuts(const uint8_t *bytes, size_t size, bool trailers, const struct chunk *whole,
		       enum chunk_event verdict)
{
	struct dice dice = dice_of(bytes, size);
	enum chunk_event event = CHUNK_MORE;
	struct chunk chunk, moved;
	size_t at = 0;

	chunk_begin(&chunk, trailers);
	while (at < size && event == CHUNK_MORE) {
		size_t part = 1 + dice_throw(&dice, dice_throw(&dice, 2) ? 6 : size - at);

		part = part < size - at ? part : size - at;
		moved = chunk;
		memset(&chunk, 0xff, sizeof(chunk));
		event = scan(&moved, bytes + at, part);
		chunk = moved;
		at += part;
	}
	require(event == verdict);
	require(!memcmp(&chunk, whole, sizeof(chunk)));
}

/* What the oracle says. It may want more where the parser has already refused, never else. */
static void check_oracle(const uint8_t *bytes, size_t size, bool trailers, enum chunk_event verdict,
			 size_t taken, size_t data)
{
	struct oracle_chunks oracle;

	oracle_read_chunks(bytes, size, trailers, &oracle);
	if (verdict == CHUNK_BAD && oracle.verdict == CHUNK_MORE)
		return;
	require(verdict == oracle.verdict);
	if (verdict == CHUNK_END)
		require(taken == oracle.length && data == oracle.data);
}

static void check_body(const uint8_t *bytes, size_t size, bool trailers)
{
	enum chunk_event verdict;
	struct chunk chunk;
	size_t taken, data;

	chunk_begin(&chunk, trailers);
	verdict = follow(&chunk, bytes, size, &taken, &data);
	check_cuts(bytes, size, trailers, &chunk, verdict);
	check_oracle(bytes, size, trailers, verdict, taken, data);
	if (verdict == CHUNK_MORE)
		return;
	require(!chunk.skip);
	require(chunk_byte(&chunk, '0') == CHUNK_BAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_body(bytes, size, false);
	check_body(bytes, size, true);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes changed at random, the same way on every run.
 */
#ifndef SLUICE_MUTATE_H
#define SLUICE_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mutator {
	uint64_t state; /* never 0 */
};

/* xorshift64*; below `bound`. */
static inline uint32_t mutator_draw(struct mutator *mutator, uint32_t bound)
{
	uint64_t x = mutator->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	mutator->state = x;
	return (x * 0x2545f4914f6cdd1dULL >> 32) % bound;
}

/* A byte, of those that mean something to a parser more often than not. */
static inline uint8_t mutator_byte(struct mutator *mutator)
{
	static const char special[] = "\r\n\r\n: \t\0,;=_-/*#@?%[]\"\x7f\x80\xff"
				      "019afAFgGxX";

	if (mutator_draw(mutator, 4))
		return special[mutator_draw(mutator, sizeof(special) - 1)];
	return mutator_draw(mutator, 256);
}

/*
 * One change: a byte replaced, put in or taken out, or a piece moved, doubled or taken from
 * another text. Returns the new size, which is at most `room`.
 */
static inline size_t mutate(struct mutator *mutator, uint8_t *bytes, size_t size, size_t room,
			    const void *other, size_t other_size)
{
	size_t at = size ? mutator_draw(mutator, size) : 0;
	size_t length, from;

	switch (size ? mutator_draw(mutator, 5) : 1) {
	case 0:
		bytes[at] = mutator_byte(mutator);
		return size;
	case 1:
		if (size == room)
			return size;
		memmove(bytes + at + 1, bytes + at, size - at);
		bytes[at] = mutator_byte(mutator);
		return size + 1;
	case 2:
		length = 1 + mutator_draw(mutator, size - at < 8 ? size - at : 8);
		length = length < size - at ? length : size - at;
		memmove(bytes + at, bytes + at + length, size - at - length);
		return size - length;
	case 3: /* overwrite with a piece of the same text */
		from = mutator_draw(mutator, size);
		length = mutator_draw(mutator, size - (at > from ? at : from));
		memmove(bytes + at, bytes + from, length);
		return size;
	default: /* put in a piece of the other text */
		if (!other_size)
			return size;
		from = mutator_draw(mutator, other_size);
		length = mutator_draw(mutator, other_size - from);
		if (length > room - size)
			return size;
		memmove(bytes + at + length, bytes + at, size - at);
		memcpy(bytes + at, (const uint8_t *)other + from, length);
		return size + length;
	}
}

#endif

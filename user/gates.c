/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings and gates, from the configuration into the kernel side. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "gates.h"

static int explain(int r, const char *what, char *why, size_t why_size)
{
	if (r)
		snprintf(why, why_size, "%s cannot be written to the kernel: %s.", what,
			 strerror(-r));
	return r;
}

/* Settings that were never written have no ABI. */
static bool are_written(const struct settings *settings)
{
	return settings->abi != 0;
}

static bool has_pepper(const struct settings *settings, const uint8_t *pepper)
{
	return !sodium_memcmp(settings->pepper, pepper, PEPPER_SIZE);
}

bool gates_have_pepper(struct kernel *kernel, const uint8_t *pepper)
{
	const struct settings *settings = kernel_settings(kernel);

	return are_written(settings) && has_pepper(settings, pepper);
}

/* Programs that run find the old or the new, and nothing else. */
static void store_word(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

void gates_put_key_word(struct kernel *kernel, const char *word)
{
	struct settings *settings = kernel_settings(kernel);
	union {
		char text[KEY_WORD_MAX];
		uint64_t bits;
	} wanted = { .bits = 0 };

	memcpy(wanted.text, word, strnlen(word, sizeof(wanted.text)));
	store_word((uint64_t *)&settings->key_word_bits, wanted.bits);
	/* After it: what connections remember was judged by the word before. */
	for (size_t i = 0; i < sizeof(settings->tag_key) / sizeof(*settings->tag_key); i++) {
		uint64_t random;

		randombytes_buf(&random, sizeof(random));
		store_word((uint64_t *)&settings->tag_key[i], random);
		sodium_memzero(&random, sizeof(random));
	}
}

int gates_check_pepper(struct kernel *kernel, const struct config *config, const uint8_t *pepper,
		       char *why, size_t why_size)
{
	const struct settings *settings = kernel_settings(kernel);

	if (!are_written(settings) || has_pepper(settings, pepper))
		return 0;
	snprintf(why, why_size,
		 "The gate pinned in %s belongs to another installation: its keys were "
		 "hashed with another pepper than the one in %s. Give --state or --pin the "
		 "folder that belongs to the other, or take the gate down with --remove.",
		 config->pin, config->state);
	return -EKEYREJECTED;
}

int gates_put_settings(struct kernel *kernel, const uint8_t *pepper, char *why, size_t why_size)
{
	struct settings *settings = kernel_settings(kernel);
	int r = gates_follow_clock(kernel);

	if (r)
		return explain(r, "The settings", why, why_size);
	if (!are_written(settings))
		memcpy(settings->pepper, pepper, PEPPER_SIZE);
	/* A removal may have been killed. */
	__atomic_store_n(&settings->leaving, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&settings->abi, SLUICE_ABI, __ATOMIC_SEQ_CST);
	return 0;
}

int gates_follow_clock(struct kernel *kernel)
{
	struct settings *settings = kernel_settings(kernel);
	uint64_t offset_ns;
	int r = clock_tai_offset(&offset_ns);

	if (!r && settings->tai_offset_ns != offset_ns)
		store_word((uint64_t *)&settings->tai_offset_ns, offset_ns);
	return r;
}

/* --- gates ------------------------------------------------------------------------------------- */

/* Gates of this network namespace, as they are or shall be. */
struct gate_list {
	struct {
		uint16_t port;
		struct gate gate;
	} rows[GATES_MAX];
	size_t count;
};

static const struct gate *find(const struct gate_list *list, uint16_t port)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->rows[i].port == port)
			return &list->rows[i].gate;
	return NULL;
}

static int add(struct gate_list *list, uint16_t port, const struct gate *gate)
{
	if (list->count == GATES_MAX)
		return -E2BIG;
	list->rows[list->count].port = port;
	list->rows[list->count++].gate = *gate;
	return 0;
}

static int note_own(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	return own ? add(data, key->port, gate) : 0;
}

/* What config wants, and behind it what is to go on draining. */
static int list_wanted(const struct config *config, const struct gate_list *former,
		       bool keep_draining, struct gate_list *ret_wanted)
{
	int r = 0;

	ret_wanted->count = 0;
	for (size_t i = 0; !r && i < config->port_count; i++) {
		const struct gate gate = {
			.head_limit = config->ports[i].head_limit,
			.keep_identity = config->ports[i].keep_identity,
			.pass_trailers = config->ports[i].pass_trailers,
		};

		r = add(ret_wanted, config->ports[i].port, &gate);
	}
	for (size_t i = 0; !r && keep_draining && i < former->count; i++)
		if (former->rows[i].gate.draining && !find(ret_wanted, former->rows[i].port))
			r = add(ret_wanted, former->rows[i].port, &former->rows[i].gate);
	return r;
}

/* Make one gate what it shall be, NULL for none, if it is not. */
static int change(struct kernel *kernel, uint16_t port, const struct gate *from,
		  const struct gate *to)
{
	int r;

	if (from == to || (from && to && !memcmp(from, to, sizeof(*to))))
		return 0;
	r = to ? kernel_put_gate(kernel, port, to) : kernel_remove_gate(kernel, port);
	if (from)
		kernel_settle();
	return r;
}

/*
 * Go from one list to the other, up to the first change that fails. New ones come first: no port is
 * open for longer than it must be.
 */
static int go(struct kernel *kernel, const struct gate_list *from, const struct gate_list *to)
{
	int r = 0;

	for (size_t i = 0; !r && i < to->count; i++)
		r = change(kernel, to->rows[i].port, find(from, to->rows[i].port),
			   &to->rows[i].gate);
	for (size_t i = 0; !r && i < from->count; i++)
		if (!find(to, from->rows[i].port))
			r = change(kernel, from->rows[i].port, &from->rows[i].gate, NULL);
	return r;
}

/* Put all back, whatever was changed. The first error is returned, the others' ports tried. */
static int put_back(struct kernel *kernel, const struct gate_list *former,
		    const struct gate_list *wanted)
{
	int first = 0;

	for (size_t i = 0; i < former->count; i++) {
		int r = kernel_put_gate(kernel, former->rows[i].port, &former->rows[i].gate);

		kernel_settle();
		first = first ? first : r;
	}
	for (size_t i = 0; i < wanted->count; i++) {
		int r = find(former, wanted->rows[i].port)
				? 0
				: kernel_remove_gate(kernel, wanted->rows[i].port);

		first = first ? first : r;
	}
	return first;
}

int gates_put(struct kernel *kernel, const struct config *config, bool keep_draining, char *why,
	      size_t why_size)
{
	struct gate_list former = { .count = 0 }, wanted;
	int undone, r = kernel_each_gate(kernel, note_own, &former);

	if (!r)
		r = list_wanted(config, &former, keep_draining, &wanted);
	if (r)
		return explain(r, "The gates", why, why_size);
	r = go(kernel, &former, &wanted);
	if (!r)
		return 0;
	explain(r, "The gates", why, why_size);
	undone = put_back(kernel, &former, &wanted);
	if (!undone)
		return r;
	snprintf(why + strlen(why), why_size - strlen(why),
		 " Nor can all be put back: %s. Some may be as configured now, others as before. "
		 "Restart sluiced.",
		 strerror(-undone));
	return -ENOTRECOVERABLE;
}

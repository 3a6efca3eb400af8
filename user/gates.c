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
	struct settings settings = { 0 };
	bool same = !kernel_get_settings(kernel, &settings) && are_written(&settings) &&
		    has_pepper(&settings, pepper);

	sodium_memzero(&settings, sizeof(settings));
	return same;
}

/* Change settings that were read from the kernel into what config wants. */
static int fill_settings(struct settings *settings, const struct config *config,
			 const uint8_t *pepper)
{
	uint64_t offset_ns;
	int r = clock_tai_offset(&offset_ns);

	if (r)
		return r;
	settings->tai_offset_ns = offset_ns;
	memcpy(settings->pepper, pepper, PEPPER_SIZE);
	memset(settings->key_word, 0, sizeof(settings->key_word));
	settings->key_word_length = strlen(config->key_word);
	memcpy(settings->key_word, config->key_word, settings->key_word_length);
	settings->abi = SLUICE_ABI;
	return 0;
}

int gates_put_settings(struct kernel *kernel, const struct config *config, const uint8_t *pepper,
		       char *why, size_t why_size)
{
	struct settings settings = { 0 };
	int r = kernel_get_settings(kernel, &settings);

	if (!r && are_written(&settings) && !has_pepper(&settings, pepper)) {
		snprintf(why, why_size,
			 "The gate pinned in %s belongs to another installation: its keys were "
			 "hashed with another pepper than the one in %s. Give --state or --pin the "
			 "folder that belongs to the other, or take the gate down with --remove.",
			 config->pin, config->state);
		r = -EKEYREJECTED;
	} else {
		if (!r)
			r = fill_settings(&settings, config, pepper);
		if (!r)
			r = kernel_put_settings(kernel, &settings);
		explain(r, "The settings", why, why_size);
	}
	sodium_memzero(&settings, sizeof(settings));
	return r;
}

int gates_follow_clock(struct kernel *kernel)
{
	struct settings settings = { 0 };
	uint64_t offset_ns;
	int r = clock_tai_offset(&offset_ns);

	if (!r)
		r = kernel_get_settings(kernel, &settings);
	if (!r && settings.tai_offset_ns != offset_ns) {
		settings.tai_offset_ns = offset_ns;
		r = kernel_put_settings(kernel, &settings);
	}
	sodium_memzero(&settings, sizeof(settings));
	return r;
}

/* Gates of this network namespace that are no longer wanted. */
struct leftovers {
	const struct config *config;
	uint16_t ports[GATES_MAX];
	size_t count;
};

static int note_leftover(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	struct leftovers *leftovers = data;
	const struct config *config = leftovers->config;

	(void)gate;
	if (!own)
		return 0;
	for (size_t i = 0; i < config->port_count; i++)
		if (config->ports[i].port == key->port)
			return 0;
	if (leftovers->count == sizeof(leftovers->ports) / sizeof(leftovers->ports[0]))
		return -E2BIG;
	leftovers->ports[leftovers->count++] = key->port;
	return 0;
}

int gates_put(struct kernel *kernel, const struct config *config, char *why, size_t why_size)
{
	struct leftovers leftovers = { .config = config };
	int r = 0;

	for (size_t i = 0; !r && i < config->port_count; i++) {
		const struct gate gate = {
			.head_limit = config->ports[i].head_limit,
			.keep_identity = config->ports[i].keep_identity,
			.pass_trailers = config->ports[i].pass_trailers,
		};

		r = kernel_put_gate(kernel, config->ports[i].port, &gate);
	}
	if (!r)
		r = kernel_each_gate(kernel, note_leftover, &leftovers);
	for (size_t i = 0; !r && i < leftovers.count; i++)
		r = kernel_remove_gate(kernel, leftovers.ports[i]);
	return explain(r, "The gates", why, why_size);
}

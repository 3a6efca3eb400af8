/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who guesses keys, as /v1/status and /metrics tell it. */
#include <string.h>

#include "api_calls.h"
#include "network.h"
#include "util.h"

/* "203.0.113.7", "2001:db8::/64" (struct source) */
static void format_source(const struct source *source, char ret_text[NETWORK_TEXT_SIZE])
{
	struct network network = { .prefix = NETWORK_BITS };

	memcpy(network.words, source->words, sizeof(network.words));
	if (!network_is_ipv4(&network))
		network.prefix = 64;
	network_format(&network, ret_text);
}

json_t *api_guesses_to_json(const struct api_guesses *guesses, uint32_t max)
{
	json_t *top = json_array();
	char source[NETWORK_TEXT_SIZE], last[RFC3339_SIZE];

	for (size_t i = 0; top && i < guesses->count; i++) {
		const struct guesses *made = &guesses->made[i];

		format_source(&guesses->sources[i], source);
		rfc3339_format(made->last_ms, last);
		if (json_array_append_new(top,
					  json_pack("{s:s, s:I, s:s}", "source", source, "count",
						    (json_int_t)made->count, "lastAt", last))) {
			json_decref(top);
			return NULL;
		}
	}
	return json_pack("{s:I, s:I, s:o}", "sources", (json_int_t)guesses->all, "max",
			 (json_int_t)max, "top", top);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who guesses keys, as /v1/status and /metrics tell it. */
#include <arpa/inet.h>
#include <string.h>

#include "api_calls.h"
#include "util.h"

#define SOURCE_SIZE (INET6_ADDRSTRLEN + sizeof("/64"))

/* "203.0.113.7", "2001:db8::/64" */
static void source_text(const struct source *source, char ret_text[SOURCE_SIZE])
{
	bool mapped = !source->words[0] && !source->words[1] && source->words[2] == htonl(0xffff);

	if (mapped)
		inet_ntop(AF_INET, &source->words[3], ret_text, SOURCE_SIZE);
	else
		inet_ntop(AF_INET6, source, ret_text, SOURCE_SIZE);
	if (!mapped)
		strcat(ret_text, "/64");
}

json_t *api_guesses_to_json(const struct api_guesses *guesses, uint32_t max)
{
	json_t *top = json_array();
	char source[SOURCE_SIZE], last[RFC3339_SIZE];

	for (size_t i = 0; top && i < guesses->count; i++) {
		const struct guesses *made = &guesses->made[i];

		source_text(&guesses->sources[i], source);
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

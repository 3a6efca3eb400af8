/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side counts, by name. */
#include "counters.h"

#include <ctype.h>
#include <stddef.h>

const struct counter_text counter_texts[COUNTER_COUNT] = {
#define X(id, name, help) [COUNTER_##id] = { name, help },
	SLUICE_COUNTERS(X)
#undef X
};

void counter_member(enum counter counter, char ret_member[COUNTER_MEMBER_SIZE])
{
	size_t length = 0;

	for (const char *at = counter_texts[counter].name; *at && length + 1 < COUNTER_MEMBER_SIZE;
	     at++) {
		if (*at == '_' && at[1])
			ret_member[length++] = toupper((unsigned char)*++at);
		else
			ret_member[length++] = *at;
	}
	ret_member[length] = '\0';
}

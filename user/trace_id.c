/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "trace_id.h"

#include <sodium.h>
#include <string.h>

void trace_id_make(char ret_id[TRACE_ID_TEXT_SIZE])
{
	static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	memcpy(ret_id, "req_", 4);
	for (int i = 4; i < 4 + TRACE_ID_SIZE; i++)
		ret_id[i] = characters[randombytes_uniform(sizeof(characters) - 1)];
	ret_id[4 + TRACE_ID_SIZE] = '\0';
}

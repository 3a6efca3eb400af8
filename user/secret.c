// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "secret.h"

#include <jansson.h>
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

void secret_free(void *memory)
{
	if (memory)
		sodium_memzero(memory, malloc_usable_size(memory));
	free(memory);
}

void secret_wipe_json(void)
{
	json_set_alloc_funcs(malloc, secret_free);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The options that are not settings: command_line.c reads them, config_help.c lists them. */
#ifndef SLUICE_CONFIG_ROWS_H
#define SLUICE_CONFIG_ROWS_H

#include "config.h"

struct option_row {
	const char *name;
	const char *argument; /* its name in the help; NULL: it takes none */
	int value;	      /* command_line.c's own */
	const char *help;     /* NULL: not listed */
};

/* Those that the help lists before the settings, and behind them. */
extern const struct option_row config_rows_before[], config_rows_after[];
extern const size_t config_rows_before_count, config_rows_after_count;

/* What holds where nothing is said. */
extern const struct config config_defaults;
extern const struct config_port config_port_defaults;

#endif

/* The date and time of the battery-backed clock. */
#pragma once

#include "kernel/lib/types.h"

enum rtc_field { RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_FIELDS };

#define RTC_BINARY 0x04	  /* of register B; else the fields are decimal, four bits a digit */
#define RTC_24_HOURS 0x02 /* else bit 7 of the hour says afternoon */

/* Seconds since 1970 by the clock's registers, 0 if they hold no date. @field is changed. */
u64 rtc_decode(u8 field[static RTC_FIELDS], u8 register_b);
/* Seconds since 1970, in UTC; 0 if there is no such clock or what it says is no date. Boot CPU. */
u64 rtc_seconds(void);

/*
 * The MC146818 real-time clock (Motorola, "MC146818A", tables 2 and 3; PC ports 0x70 and 0x71).
 *
 * Its registers change once a second, one after the other. So all are read twice, and taken if
 * nothing has changed and no update was in progress. The years are those of 2000 to 2099.
 *
 * Boot CPU, once. No locks.
 */
#include "drivers/rtc.h"

#include "kernel/arch/io.h"
#include "kernel/lib/string.h"

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define REG_A 0x0a
#define REG_B 0x0b
#define A_UPDATE_IN_PROGRESS 0x80
#define HOUR_PM 0x80

#define UPDATE_READS 20000 /* an update takes 2 ms, and a read a tenth of a microsecond or more */
#define ATTEMPTS 4

static u8 read_register(u8 reg)
{
	outb(RTC_INDEX, reg);
	return inb(RTC_DATA);
}

static bool await_update(void)
{
	for (unsigned i = 0; i < UPDATE_READS; i++)
		if (!(read_register(REG_A) & A_UPDATE_IN_PROGRESS))
			return true;
	return false; /* no clock: the port reads as ones */
}

static void read_fields(u8 *field)
{
	static const u8 reg[RTC_FIELDS] = {0, 2, 4, 7, 8, 9};

	for (unsigned i = 0; i < RTC_FIELDS; i++)
		field[i] = read_register(reg[i]);
}

static u8 from_bcd(u8 v)
{
	return v / 16 * 10 + v % 16;
}

/* To binary numbers and 24 hours. */
static void normalize(u8 *field, u8 register_b)
{
	bool twelve_hours = !(register_b & RTC_24_HOURS);
	bool pm = twelve_hours && (field[RTC_HOUR] & HOUR_PM);

	if (twelve_hours)
		field[RTC_HOUR] &= ~HOUR_PM;
	for (unsigned i = 0; i < RTC_FIELDS && !(register_b & RTC_BINARY); i++)
		field[i] = from_bcd(field[i]);
	if (twelve_hours)
		field[RTC_HOUR] = field[RTC_HOUR] % 12 + (pm ? 12 : 0);
}

static bool is_date(const u8 *field)
{
	return field[RTC_SECOND] < 60 && field[RTC_MINUTE] < 60 && field[RTC_HOUR] < 24 &&
	       field[RTC_DAY] >= 1 && field[RTC_DAY] <= 31 && field[RTC_MONTH] >= 1 &&
	       field[RTC_MONTH] <= 12 && field[RTC_YEAR] < 100;
}

/* From 1970-01-01 to that day; each fourth year from 2000 to 2096 is a leap year. */
static u64 days_since_1970(unsigned year, unsigned month, unsigned day)
{
	static const u16 before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	const u64 days_to_2000 = 10957;
	bool behind_february = month > 2;

	return days_to_2000 + year * 365UL + (year + 3) / 4 + before[month - 1] +
	       (behind_february && year % 4 == 0) + day - 1;
}

u64 rtc_decode(u8 field[static RTC_FIELDS], u8 register_b)
{
	const u8 *f = field;

	normalize(field, register_b);
	if (!is_date(field))
		return 0;
	return days_since_1970(f[RTC_YEAR], f[RTC_MONTH], f[RTC_DAY]) * 86400 +
	       f[RTC_HOUR] * 3600UL + f[RTC_MINUTE] * 60UL + f[RTC_SECOND];
}

u64 rtc_seconds(void)
{
	u8 field[RTC_FIELDS], again[RTC_FIELDS];

	for (unsigned i = 0; i < ATTEMPTS && await_update(); i++) {
		read_fields(field);
		if (!await_update())
			return 0;
		read_fields(again);
		if (!memcmp(field, again, RTC_FIELDS))
			return rtc_decode(field, read_register(REG_B));
	}
	return 0;
}

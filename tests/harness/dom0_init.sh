#!/bin/busybox sh
# /init of the Linux dom0: start Xen's daemons, run Pteron as a domU, copy its console to ours, and
# end QEMU through its exit device with the domain's shutdown reason. dom0.py builds the rest.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /var/lib/xen /var/log/xen/console /var/lock /run/xen /run/xenstored
/bin/busybox --install -s /bin
export PATH=/bin:/xen
ln -s /run /var/run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts

# QEMU ends with 2 * $1 + 1.
leave() {
	printf "\\$(printf %o "$1")" | dd of=/dev/port bs=1 seek=244 2>/dev/null
	poweroff -f
}

fail() {
	echo "dom0: $*"
	leave 19
}

for module in /modules/*.ko; do
	insmod "$module" || fail "insmod $module failed"
done
mount -t xenfs xenfs /proc/xen
xenstored --pid-file /run/xenstored.pid || fail "xenstored does not start"
xen-init-dom0 >/dev/null || fail "xen-init-dom0 failed"
xenconsoled --log=guest --log-dir=/var/log/xen/console || fail "xenconsoled does not start"

log=/var/log/xen/console/guest-pteron.log
# What the log has got since the last call.
copy_console() {
	size=$(stat -c %s $log 2>/dev/null || echo 0)
	if [ "$size" -gt "$copied" ]; then
		tail -c +$((copied + 1)) $log | head -c $((size - copied))
		copied=$size
	fi
}

# One domain, as the script $1 creates it; its shutdown reason goes to $reason.
run_domain() {
	rm -f $log
	copied=0
	sh "$1" >/tmp/xl.log 2>&1 &
	xl=$!
	while kill -0 $xl 2>/dev/null; do
		copy_console
		sleep 0.1
	done
	copy_console
	reason=$(sed -n 's/.*reason code \([0-9]*\).*/\1/p' /tmp/xl.log | head -n 1)
	echo "dom0: $1 ended for reason ${reason:-unknown}"
}

cd /pteron || fail "no payload"
for run in run-*; do
	run_domain "$run"
	case "$reason" in
	0) code=16 ;;
	3) code=18 ;;
	*)
		cat /tmp/xl.log
		fail "the domain ended in no way that is expected"
		;;
	esac
done
leave $code

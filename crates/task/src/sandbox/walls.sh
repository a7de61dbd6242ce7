# Builds a root of read-only folders and a scratch folder in memory, and starts Python there without any privilege.
# Arguments: the interpreter; the user to become, or nothing to stay; seconds; bytes; threads; the driver; its role.
set -eu
python=$1 uid=$2 seconds=$3 bytes=$4 threads=$5 driver=$6 role=$7
# Any folder will do: the mount is seen by this namespace alone.
root=/tmp
mount -t tmpfs -o size=1m,mode=755 tmpfs "$root"
for dir in usr lib lib64 bin; do
    [ -e "/$dir" ] || continue
    # Where it is a link into /usr, as on most systems, a link is enough; each mount takes a millisecond.
    if [ "/$dir" -ef "/usr/$dir" ]; then
        ln -s "usr/$dir" "$root/$dir"
        continue
    fi
    mkdir "$root/$dir"
    mount --rbind "/$dir" "$root/$dir"
done
mkdir "$root/tmp" "$root/dev"
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"

# What is mounted below a folder is a mount of its own, with flags that a plain user may not take away.
mounts=$(cat /proc/self/mountinfo)
while read -r _ _ _ _ place given _; do
    case $place in "$root" | "$root"/*) place=$(printf '%b' "$place") ;; *) continue ;; esac
    options=remount,bind,ro
    for flag in nosuid nodev noexec noatime nodiratime relatime; do
        case ",$given," in *",$flag,"*) options=$options,$flag ;; esac
    done
    mount -o "$options" "$place"
done <<END
$mounts
END
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev tmpfs "$root/tmp"

privileges="--no-new-privs --inh-caps=-all --bounding-set=-all"
[ -z "$uid" ] || privileges="--reuid=$uid --regid=$uid --clear-groups $privileges"
chroot "$root" /usr/bin/setpriv $privileges \
    /usr/bin/prlimit --cpu="$seconds" --as="$bytes" --nproc="$threads" --fsize=16777216 --nofile=64 --core=0 \
    /usr/bin/env -i -C /tmp HOME=/tmp PATH=/usr/bin LANG=C.UTF-8 "$python" -I -B -c "$driver" "$role"
# The shell stays: as the namespace's first process, Python could not be killed by its own signals.
exit $?

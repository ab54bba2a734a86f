#!/bin/sh
# Writes what must not be in an image, then becomes Asterisk: the secret of the manager's user, and who may be that user.
set -eu
cd /etc/asterisk
umask 027
printf 'secret = %s\n' "${AMI_SECRET:?the secret of the user santral in manager.conf}" > manager_secret.conf
printf 'bindaddr = 0.0.0.0\n' > manager_bind.conf
printf 'permit = %s\n' "${AMI_PERMIT:-172.16.0.0/255.240.0.0}" > manager_permit.conf
chown root:asterisk manager_secret.conf manager_bind.conf manager_permit.conf
umask 022
# Whoever fetches recordings deletes them, and is another user in another container.
install -d -o asterisk -m 0755 /var/spool/asterisk/monitor /var/log/asterisk/cdr-csv
install -d -o asterisk -m 0777 /var/spool/asterisk/monitor/santral
exec asterisk -f -U asterisk -G asterisk

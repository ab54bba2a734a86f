#!/bin/sh
# Writes what must not be in an image, then becomes Asterisk: the secret of the manager's user, and who may be that user.
set -eu
umask 077
printf 'secret = %s\n' "${AMI_SECRET:?the secret of the user santral in manager.conf}" > /etc/asterisk/manager_secret.conf
printf 'bindaddr = 0.0.0.0\n' > /etc/asterisk/manager_bind.conf
printf 'permit = %s\n' "${AMI_PERMIT:-172.16.0.0/255.240.0.0}" > /etc/asterisk/manager_permit.conf
umask 022
# Whoever fetches recordings deletes them; both may be different users.
install -d -m 0777 /var/spool/asterisk/monitor/santral
install -d /var/log/asterisk/cdr-csv
exec asterisk -f

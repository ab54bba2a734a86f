{{ versions(
    ref('stg_telephony__queue_settings'), 'queue_id',
    ['label_tr', 'label_en', 'team_id', 'hours', 'timezone', 'sl_s', 'short_s', 'sl_target']
) }}

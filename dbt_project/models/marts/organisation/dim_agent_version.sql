{{ versions(ref('stg_crm__agent_teams'), 'agent_id', ['team_id']) }}

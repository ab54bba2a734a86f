{# The states in which an agent's session is at any instant; unknown where none was told. A test holds them equal to those
   of the CRM. #}
{% macro agent_states() %}
{{ return(['available', 'reserved', 'ringing', 'on_call', 'wrap_up', 'paused', 'not_responding', 'unknown']) }}
{% endmacro %}

"""What happens around one traced call: values from mappers in, one OpenTelemetry span out.

Imports nothing of autotrace but `config` and `errors`; finished spans leave through the tracer provider that the
composition root put in place.
"""

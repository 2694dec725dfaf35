"""The int8 quantizer, in numpy: ranges, GPTQ, bias correction."""

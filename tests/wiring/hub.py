"""Small backbones of Keras Hub, made without a download; each with three layers a stack."""

import importlib

TEXT = {
    "vocabulary_size": 50,
    "num_layers": 3,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
GROUPED = {
    "vocabulary_size": 50,
    "num_layers": 3,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
LENGTH = {"max_sequence_length": 16}
IMAGE = {"image_shape": (32, 32, 3)}
VISION = {"num_layers": 3, "num_heads": 2, "hidden_dim": 16, **IMAGE}


def without(sizes, *names):
    return {name: size for name, size in sizes.items() if name not in names}


def _resnet(models, block, **more):
    return models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[2, 2, 2],
        stackwise_num_strides=[1, 2, 2],
        block_type=block,
        image_shape=(64, 64, 3),
        **more,
    )


def _encoder(models, shape):
    return models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64] * 4,
        stackwise_num_blocks=[2] * 4,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=shape,
    )


def inner(name):
    """A part of a backbone that Keras Hub has no public name for."""
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(f"keras_hub.src.models.{module}"), kind)


CLIP = {
    "hidden_dim": 16,
    "num_layers": 3,
    "num_heads": 2,
    "intermediate_dim": 32,
    "intermediate_activation": "quick_gelu",
    "intermediate_output_index": None,
}
SMOLLM = {
    "vocabulary_size": 50,
    "hidden_dim": 16,
    "intermediate_dim": 32,
    "num_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rope_layer_enabled_list": [True] * 3,
    "layer_types": ["full_attention"] * 3,
    "mlp_bias": False,
    "layer_norm_epsilon": 1e-5,
    "max_position_embeddings": 64,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 1.0,
}
_STACK = {
    "hidden_dim": 16,
    "intermediate_dim": 32,
    "num_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "layer_types": ["full_attention"] * 2,
}
TWO_STACKS = {
    "vocabulary_size": 50,
    **{f"encoder_{name}": size for name, size in _STACK.items()},
    **{f"decoder_{name}": size for name, size in _STACK.items()},
}

BACKBONES = {
    "Albert": lambda m: m.AlbertBackbone(embedding_dim=8, **TEXT, **LENGTH),
    "Bart": lambda m: m.BartBackbone(**TEXT, **LENGTH),
    "Bert": lambda m: m.BertBackbone(**TEXT, **LENGTH),
    "Bloom": lambda m: m.BloomBackbone(**TEXT),
    "DebertaV3": lambda m: m.DebertaV3Backbone(**TEXT, **LENGTH, bucket_size=8),
    "DeiT": lambda m: m.DeiTBackbone(patch_size=8, intermediate_dim=32, **VISION),
    "DenseNet": lambda m: m.DenseNetBackbone(stackwise_num_repeats=[2, 3], growth_rate=4, **IMAGE),
    "DINOV2": lambda m: m.DINOV2Backbone(
        patch_size=8, intermediate_dim=32, position_embedding_shape=(32, 32, 3), **VISION
    ),
    "DINOV3": lambda m: m.DINOV3Backbone(patch_size=8, intermediate_dim=32, **VISION),
    "DistilBert": lambda m: m.DistilBertBackbone(**TEXT, **LENGTH),
    "EfficientNet": lambda m: m.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 2,
        stackwise_depth_coefficients=[1.0] * 2,
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[2, 2],
        stackwise_input_filters=[16, 16],
        stackwise_output_filters=[16, 24],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
        input_shape=(32, 32, 3),
    ),
    "Electra": lambda m: m.ElectraBackbone(
        vocab_size=50, embedding_dim=8, **without(TEXT, "vocabulary_size"), **LENGTH
    ),
    "ESM": lambda m: m.ESMBackbone(**TEXT, **LENGTH),
    "Falcon": lambda m: m.FalconBackbone(num_attention_heads=2, **without(TEXT, "num_heads")),
    "FNet": lambda m: m.FNetBackbone(**without(TEXT, "num_heads"), **LENGTH),
    "Gemma": lambda m: m.GemmaBackbone(head_dim=4, **GROUPED),
    "Gemma3": lambda m: m.Gemma3Backbone(image_size=16, head_dim=4, **GROUPED),
    "GPT2": lambda m: m.GPT2Backbone(**TEXT, **LENGTH),
    "GPTNeoX": lambda m: m.GPTNeoXBackbone(**TEXT, **LENGTH),
    "GptOss": lambda m: m.GptOssBackbone(num_experts=4, **GROUPED),
    "Llama": lambda m: m.LlamaBackbone(**GROUPED),
    "Llama3": lambda m: m.Llama3Backbone(**GROUPED),
    "MiT": lambda m: m.MiTBackbone(
        layerwise_depths=[1, 2],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        hidden_dims=[8, 16],
        **IMAGE,
    ),
    "Mistral": lambda m: m.MistralBackbone(**GROUPED),
    "Mixtral": lambda m: m.MixtralBackbone(num_experts=4, **GROUPED),
    "Moonshine": lambda m: m.MoonshineBackbone(
        vocabulary_size=50,
        filter_dim=16,
        encoder_num_layers=2,
        decoder_num_layers=2,
        hidden_dim=16,
        intermediate_dim=32,
        encoder_num_heads=2,
        decoder_num_heads=2,
    ),
    "OPT": lambda m: m.OPTBackbone(**TEXT, **LENGTH),
    "Phi3": lambda m: m.Phi3Backbone(**GROUPED),
    "Qwen": lambda m: m.QwenBackbone(**GROUPED),
    "Qwen3": lambda m: m.Qwen3Backbone(head_dim=4, **GROUPED),
    "Qwen3Moe": lambda m: m.Qwen3MoeBackbone(
        moe_intermediate_dim=8, num_experts=4, head_dim=4, top_k=2, **GROUPED
    ),
    "QwenMoe": lambda m: m.QwenMoeBackbone(
        moe_intermediate_dim=8,
        shared_expert_intermediate_dim=16,
        num_experts=4,
        top_k=2,
        **GROUPED,
    ),
    "ResNet basic": lambda m: _resnet(m, "basic_block"),
    "ResNet bottleneck": lambda m: _resnet(m, "bottleneck_block"),
    "ResNet pre-activation": lambda m: _resnet(m, "basic_block", use_pre_activation=True),
    "Roberta": lambda m: m.RobertaBackbone(**TEXT, **LENGTH),
    "RoformerV2": lambda m: m.RoformerV2Backbone(
        head_size=TEXT["hidden_dim"] // TEXT["num_heads"], **TEXT
    ),
    "SmolLM3": lambda m: m.SmolLM3Backbone(**SMOLLM),
    "T5": lambda m: m.T5Backbone(**TEXT),
    "VGG": lambda m: m.VGGBackbone(
        stackwise_num_repeats=[2, 2], stackwise_num_filters=[8, 16], **IMAGE
    ),
    "ViT": lambda m: m.ViTBackbone(patch_size=8, mlp_dim=32, **VISION),
    "ViTDet": lambda m: m.ViTDetBackbone(
        hidden_size=16,
        num_layers=3,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[1],
        patch_size=8,
        num_output_channels=8,
        window_size=2,
        **IMAGE,
    ),
    "Whisper": lambda m: m.WhisperBackbone(
        **TEXT, max_encoder_sequence_length=16, max_decoder_sequence_length=16
    ),
    "Xception": lambda m: m.XceptionBackbone(
        stackwise_conv_filters=[[8, 8], [16, 16], [16, 16]],
        stackwise_pooling=[False, True, False],
        **IMAGE,
    ),
    "XLMRoberta": lambda m: m.XLMRobertaBackbone(**TEXT, **LENGTH),
    "XLNet": lambda m: m.XLNetBackbone(**TEXT),
    "BASNet": lambda m: m.BASNetBackbone(
        image_encoder=_encoder(m, (None, None, 3)), num_classes=1, image_shape=(64, 64, 3)
    ),
    "CLIP": lambda m: m.CLIPBackbone(
        vision_encoder=inner("clip.clip_vision_encoder.CLIPVisionEncoder")(
            **CLIP, patch_size=8, **IMAGE
        ),
        text_encoder=inner("clip.clip_text_encoder.CLIPTextEncoder")(
            **CLIP, vocabulary_size=50, embedding_dim=CLIP["hidden_dim"], **LENGTH
        ),
        projection_dim=8,
    ),
    "DeepLabV3": lambda m: m.DeepLabV3Backbone(
        image_encoder=_encoder(m, (64, 64, 3)),
        spatial_pyramid_pooling_key="P4",
        upsampling_size=4,
        dilation_rates=[6, 12],
        low_level_feature_key="P2",
        projection_filters=8,
        image_shape=(64, 64, 3),
    ),
    "ESM2": lambda m: m.ESM2Backbone(**TEXT, **LENGTH),
    "MobileNet": lambda m: m.MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 144]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[16, 16], [24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        last_layer_filter=32,
        **IMAGE,
    ),
    "Qwen2": lambda m: m.Qwen2Backbone(**GROUPED),
    "SigLIP": lambda m: m.SigLIPBackbone(
        vision_encoder=inner("siglip.siglip_vision_encoder.SigLIPVisionEncoder")(
            patch_size=8, intermediate_dim=32, **VISION
        ),
        text_encoder=inner("siglip.siglip_text_encoder.SigLIPTextEncoder")(
            embedding_dim=TEXT["hidden_dim"], **TEXT, **LENGTH
        ),
    ),
    "Swin": lambda m: m.SwinTransformerBackbone(
        embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4, patch_size=4, **IMAGE
    ),
    "T5Gemma": lambda m: m.T5GemmaBackbone(
        **TWO_STACKS,
        dropout_rate=0.0,
        rms_norm_eps=1e-6,
        query_pre_attn_scalar=1.0,
        tie_word_embeddings=True,
        attention_bias=False,
        hidden_activation="gelu_approximate",
        initializer_range=0.02,
        attention_dropout=0.0,
        sliding_window=16,
        cross_attention_hidden_size=16,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        rope_max_wavelength=10000.0,
    ),
}

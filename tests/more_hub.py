"""Small backbones of Keras Hub for the walk over all weights, next to those of `wiring.hub`."""

import importlib

from wiring.hub import BACKBONES, GROUPED, IMAGE, SMOLLM, TWO_STACKS, VISION, inner, without

GATED_DELTA = {
    "layer_types": ["linear_attention", "linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
}
SMALL = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
GEMMA3N_TEXT = {
    "text_vocab_size": 50,
    "text_hidden_size": 8,
    "num_hidden_layers": 1,
    "pad_token_id": 0,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": [16],
    "hidden_activation": "gelu_approximate",
    "layer_types": ["full_attention"],
    "sliding_window": 4,
    "rope_theta": 10000.0,
    "max_position_embeddings": 16,
    "vocab_size_per_layer_input": 50,
    "hidden_size_per_layer_input": 2,
    "altup_num_inputs": 2,
    "laurel_rank": 1,
}


def _vit(models):
    return models.ViTBackbone(patch_size=8, mlp_dim=32, **VISION)


def _sam(models, layers):
    encoder = models.ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[1],
        patch_size=16,
        num_output_channels=8,
        window_size=2,
        image_shape=(64, 64, 3),
    )
    prompts = layers.SAMPromptEncoder(
        hidden_size=8, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_channels=16
    )
    masks = layers.SAMMaskDecoder(
        num_layers=2,
        hidden_size=8,
        intermediate_dim=16,
        num_heads=2,
        embedding_dim=8,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=8,
    )
    return models.SAMBackbone(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=masks)


def _metaclip(models):
    from keras_hub.src.models.metaclip_2.metaclip_2_text_encoder import MetaCLIP2TextEncoder
    from keras_hub.src.models.metaclip_2.metaclip_2_vision_encoder import MetaCLIP2VisionEncoder

    return models.MetaCLIP2Backbone(
        vision_encoder=MetaCLIP2VisionEncoder(patch_size=8, **SMALL, **IMAGE),
        text_encoder=MetaCLIP2TextEncoder(vocabulary_size=50, embedding_dim=16, **SMALL),
        projection_dim=8,
    )


def _d_fine(models):
    encoder = models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 3, 3],
            [16, 8, 32, 1, 3, 3],
            [32, 16, 48, 1, 3, 5],
            [48, 16, 64, 1, 3, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 48, 64],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(None, None, 3),
        out_features=["stage3", "stage4"],
    )
    return models.DFineBackbone(
        backbone=encoder,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=5,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(64, 64),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[48, 64],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=32,
        num_encoder_layers=1,
        hidden_expansion=0.5,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        decoder_n_points=[3, 3],
        lqe_hidden_dim=8,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(None, None, 3),
        seed=0,
    )


def _mobilenet_v5(models):
    blocks = {
        "block_types": ["uir", "uir"],
        "num_filters": [48, 48],
        "strides": [2, 1],
        "act_layers": ["relu", "relu"],
        "exp_ratios": [6.0, 6.0],
        "dw_kernel_sizes": [5, 5],
        **{
            name: [0, 0]
            for name in (
                "se_ratios",
                "dw_start_kernel_sizes",
                "dw_end_kernel_sizes",
                "exp_kernel_sizes",
                "pw_kernel_sizes",
                "num_heads",
                "key_dims",
                "value_dims",
                "kv_strides",
            )
        },
        "use_cpe": [False, False],
    }
    return models.MobileNetV5Backbone(
        **{f"stackwise_{name}": [value] for name, value in blocks.items()},
        stackwise_num_blocks=[2],
        use_msfa=False,
        layer_scale_init_value=1e-5,
        image_shape=(32, 32, 3),
    )


def _gemma3n(models):
    builder = importlib.import_module("keras_hub.src.models.mobilenetv5.mobilenetv5_builder")
    vision = models.MobileNetV5Backbone(
        **builder.convert_arch_def_to_stackwise([["er_r1_k3_s1_e1_c16"]]),
        num_features=4,
        image_shape=(224, 224, 3),
        use_msfa=False,
    )
    audio = inner("gemma3n.gemma3n_audio_encoder.Gemma3nAudioEncoder")(
        hidden_size=8,
        input_feat_size=32,
        sscp_conv_channel_size=[4, 8],
        sscp_conv_kernel_size=[(3, 3), (3, 3)],
        sscp_conv_stride_size=[(2, 2), (2, 2)],
        sscp_conv_group_norm_eps=1e-5,
        num_hidden_layers=1,
        rms_norm_eps=1e-6,
        gradient_clipping=1.0,
        residual_weight=0.5,
        num_attention_heads=1,
        attention_chunk_size=4,
        num_attention_context_right=5,
        num_attention_context_left=5,
        attention_logit_cap=50.0,
        conv_kernel_size=5,
        reduction_factor=1,
    )
    return models.Gemma3nBackbone(
        **GEMMA3N_TEXT,
        vision_encoder_config=vision.get_config(),
        vision_hidden_size=16,
        audio_encoder_config=audio.get_config(),
        audio_hidden_size=8,
    )


def _stable_diffusion_3(models):
    def text(name):
        encoder = inner("clip.clip_text_encoder.CLIPTextEncoder")
        return encoder(50, 16, 16, 2, 2, 32, "quick_gelu", -2, name=name)

    vae = inner("vae.vae_backbone.VAEBackbone")(
        [32] * 4, [1] * 4, [32] * 4, [1] * 4, latent_channels=16, image_shape=(64, 64, 3)
    )
    return models.StableDiffusion3Backbone(
        mmdit_patch_size=2,
        mmdit_hidden_dim=32,
        mmdit_num_layers=2,
        mmdit_num_heads=2,
        mmdit_position_size=8,
        mmdit_qk_norm="rms_norm",
        mmdit_dual_attention_indices=(0,),
        vae=vae,
        clip_l=text("clip_l"),
        clip_g=text("clip_g"),
        latent_channels=16,
        image_shape=(64, 64, 3),
    )


_LANGUAGE = {
    "vocabulary_size": 50,
    "num_query_tokens": 4,
    "qformer_hidden_dim": 16,
    "dropout": 0.0,
    **SMALL,
}


def _blip2(models, language):
    vision = models.BLIP2VisionEncoder(
        image_size=32,
        patch_size=8,
        use_patch_bias=True,
        use_class_token=True,
        use_mha_bias=True,
        use_mlp_bias=True,
        dropout_rate=0.0,
        layer_norm_epsilon=1e-6,
        initializer_range=0.02,
        **SMALL,
    )
    queries = models.BLIP2QFormer(
        num_query_tokens=4,
        vision_dim=16,
        cross_attention_frequency=2,
        dropout=0.0,
        layer_norm_epsilon=1e-6,
        **SMALL,
    )
    return models.BLIP2Backbone(vision_encoder=vision, qformer=queries, language_model=language)


def _depth_anything(models):
    encoder = models.DINOV2Backbone(
        patch_size=14,
        num_layers=4,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        image_shape=(112, 112, 3),
        position_embedding_shape=(112, 112),
    )
    return models.DepthAnythingBackbone(
        image_encoder=encoder,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_dims=[8, 8, 16, 16],
        fusion_hidden_dim=16,
        head_hidden_dim=8,
        head_in_index=-1,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
    )


def _sam3(models, layers):
    vision = layers.SAM3VisionEncoder(
        image_shape=(56, 56, 3),
        patch_size=14,
        fpn_hidden_dim=16,
        fpn_scale_factors=[4.0, 2.0, 1.0, 0.5],
        pretrain_image_shape=(56, 56, 3),
        window_size=2,
        global_attn_indexes=[1],
        **SMALL,
    )
    return models.SAM3PromptableConceptBackbone(
        vision_encoder=vision,
        text_encoder=layers.SAM3TextEncoder(vocabulary_size=50, embedding_dim=16, **SMALL),
        geometry_encoder=layers.SAM3GeometryEncoder(roi_size=7, **SMALL),
        detr_encoder=layers.SAM3DetrEncoder(**SMALL),
        detr_decoder=layers.SAM3DetrDecoder(
            image_shape=(56, 56, 3), patch_size=14, num_queries=5, **SMALL
        ),
        mask_decoder=layers.SAM3MaskDecoder(num_upsampling_stages=3, hidden_dim=16, num_heads=2),
    )


MORE = {
    "BLIP2": lambda m: _blip2(m, m.BLIP2CustomOPT(max_sequence_length=16, **_LANGUAGE)),
    "BLIP2 with T5": lambda m: _blip2(m, m.BLIP2FlanT5(**_LANGUAGE)),
    "DepthAnything": _depth_anything,
    "SAM3PromptableConcept": lambda m: _sam3(m, importlib.import_module("keras_hub").layers),
    "CSPNet": lambda m: m.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2],
        stackwise_strides=[1, 2],
        stackwise_num_filters=[8, 16],
        block_type="dark_block",
        stage_type="dark",
        **IMAGE,
    ),
    "DFine": _d_fine,
    "EdRec": lambda m: m.EdRecBackbone(
        vocab_size=50,
        num_layers_enc=2,
        num_layers_dec=2,
        hidden_dim=16,
        intermediate_dim=32,
        num_heads=2,
    ),
    "Flux": lambda m: m.FluxBackbone(
        input_channels=32,
        hidden_size=32,
        mlp_ratio=2.0,
        num_heads=2,
        depth=2,
        depth_single_blocks=2,
        axes_dim=[4, 6, 6],
        theta=10000,
        use_bias=True,
        guidance_embed=True,
        image_shape=(8, 32),
        text_shape=(4, 32),
        image_ids_shape=(8, 3),
        text_ids_shape=(4, 3),
        y_shape=(32,),
    ),
    "Gemma4": lambda m: m.Gemma4Backbone(
        image_size=16,
        head_dim=4,
        enable_moe_block=True,
        num_experts=4,
        expert_intermediate_dim=8,
        num_experts_per_token=2,
        **GROUPED,
    ),
    "Gemma3n": _gemma3n,
    "HGNetV2": lambda m: m.HGNetV2Backbone(
        depths=[1, 2],
        embedding_size=8,
        hidden_sizes=[16, 32],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 16, 1, 1, 3), (16, 8, 32, 2, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        **IMAGE,
    ),
    "MetaCLIP2": _metaclip,
    "MobileNetV5": _mobilenet_v5,
    "PaliGemma": lambda m: m.PaliGemmaBackbone(
        image_size=16,
        head_dim=4,
        vit_patch_size=8,
        vit_num_heads=2,
        vit_hidden_dim=16,
        vit_num_layers=2,
        **GROUPED,
    ),
    "PARSeq": lambda m: m.PARSeqBackbone(
        image_encoder=_vit(m),
        vocabulary_size=50,
        max_label_length=6,
        decoder_hidden_dim=16,
        num_decoder_layers=1,
        num_decoder_heads=2,
        decoder_mlp_dim=32,
    ),
    "Qwen3_5": lambda m: m.Qwen3_5Backbone(head_dim=8, **GATED_DELTA, **GROUPED),
    "Qwen3_5Moe": lambda m: m.Qwen3_5MoeBackbone(
        head_dim=8,
        moe_intermediate_dim=8,
        shared_expert_intermediate_size=16,
        num_experts=4,
        top_k=2,
        **GATED_DELTA,
        **without(GROUPED, "intermediate_dim"),
    ),
    "RetinaNet": lambda m: m.RetinaNetBackbone(
        image_encoder=BACKBONES["ResNet basic"](m),
        min_level=3,
        max_level=4,
        use_p5=False,
        image_shape=(64, 64, 3),
    ),
    "RWKV7": lambda m: m.RWKV7Backbone(
        hidden_size=16,
        head_size=8,
        num_layers=2,
        vocabulary_size=50,
        intermediate_dim=32,
        gate_lora=4,
        mv_lora=4,
        aaa_lora=4,
        decay_lora=4,
    ),
    "SAM": lambda m: _sam(m, importlib.import_module("keras_hub").layers),
    "SegFormer": lambda m: m.SegFormerBackbone(
        image_encoder=BACKBONES["MiT"](m), projection_filters=8
    ),
    "SmolLM": lambda m: m.SmolLMBackbone(**{**SMOLLM, "attention_bias": True, "mlp_bias": True}),
    "StableDiffusion3": _stable_diffusion_3,
    "T5Gemma2": lambda m: m.T5Gemma2Backbone(**TWO_STACKS),
    "VideoPrism": lambda m: m.VideoPrismBackbone(
        num_frames=2,
        patch_size=8,
        hidden_dim=16,
        intermediate_dim=32,
        num_heads=2,
        num_spatial_layers=2,
        num_temporal_layers=2,
        num_auxiliary_layers=1,
        vocabulary_size=50,
        num_text_layers=2,
        image_shape=(32, 32, 3),
    ),
}
